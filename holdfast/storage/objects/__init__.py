"""Object stores: S3 and what speaks it, Azure Blob Storage, Google Cloud Storage; through obstore."""
