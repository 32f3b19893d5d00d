"""What roadmask's speed is measured with: flat records, for `write_results`."""
