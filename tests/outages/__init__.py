"""What the visitors of a shop see while servers are emptied, run full, crash and fail over."""
