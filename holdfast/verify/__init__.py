"""Is what a snapshot references really there, and is it what it claims to be?"""
