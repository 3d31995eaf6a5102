"""The data plane: one address for every InferenceService, in OpenAI's API.

Read in this order: server.py (a client's connection), relay.py (one request on its way), upstream.py (connections to
replicas), routes.py and routing.py (where to), admission/holding.py (waiting for a first replica), discovery.py (who
is there). It reads the cluster and never writes to it.
"""
