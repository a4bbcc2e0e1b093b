"""The admin server: what operators see and do over HTTP.

    Link      -- asks the daemon, as an ordinary client
    Route     -- one call: its path, what it takes, what it answers
    Gate      -- who may change something
    make_app  -- the routes as an aiohttp application

It has no private door to the daemon: it may be killed and started again without the data path
noticing, and it lives on while the daemon does not.
"""
