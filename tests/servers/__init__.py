"""Real servers for the tests: started when a test asks for one, gone when the test run is, however it ends."""
