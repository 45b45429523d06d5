"""What each verb's result says: to people in lines, to programs in one document."""
