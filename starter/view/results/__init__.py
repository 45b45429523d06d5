"""The results of each verb in words: lines for people, one document for programs."""
