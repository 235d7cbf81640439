"""The doors for workers and for people at a shell: thin jobs, flows, the schedule's ticks, `ocd …`.

A job opens its plumbing, calls one function of a room and returns its report. Flow: `publish.place`
puts a run into the ledger and sends its id → Celery calls `attempt.attempt` → the job's body → report.
"""
