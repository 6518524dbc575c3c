"""The smallest project with typed sessions; every view is there for browsers and, under `/api/`, for headers too."""
