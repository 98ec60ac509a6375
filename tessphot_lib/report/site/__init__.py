"""The report of a run: pages for a browser, which need neither a server nor the internet."""
