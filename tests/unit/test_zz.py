import asyncio
async def test_leak():
    async def reply(r,w): await asyncio.sleep(100)
    s = await asyncio.start_server(reply,"127.0.0.1",0)
    r,w = await asyncio.open_connection(*s.sockets[0].getsockname())
    s.close()
    w.close()
async def test_ok():
    async def reply(r,w):
        await r.read(); w.close()
    s = await asyncio.start_server(reply,"127.0.0.1",0)
    r,w = await asyncio.open_connection(*s.sockets[0].getsockname())
    s.close()
    w.close()
