"""The client for asyncio. The one for threads, beside it, is made from it: change only this one."""
