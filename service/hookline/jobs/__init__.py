"""How work is written: jobs, steps, retries and the Context that a job is handed."""
