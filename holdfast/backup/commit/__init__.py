"""Commit: plan and results become trees and the snapshot."""
