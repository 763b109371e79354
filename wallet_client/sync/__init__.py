"""The client for threads, made from the one for asyncio by tools/generate_sync_client.py: change that one."""
