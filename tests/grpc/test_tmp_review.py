import asyncio, threading, time, logging
from contextlib import ExitStack
import grpc, pytest
from wallet.v1 import event_service_pb2 as pb
from tests.grpc.test_watch import served
from tests.support.asking import Asking
from tests.support.idle import Idle
from tests.support.watching import Watcher, watching, telling, all_told
from tests.support.issuer import bearer
from wallet_grpc.client import AsyncWalletClient, WalletClient, CallFailed
from wallet_grpc.process import authentication, server_limits
from wallet_grpc.server import serving
from wallet_grpc.access import Scope
from walletctl.local.waiting import wait_until

def say(*a):
    with open("/tmp/rev/out.txt","a") as f: print(*a, file=f)

def test_unknown_type(app, settings, owner):
    with served(app, settings, watch_heartbeat_s=0.3) as target, Asking(target) as asking:
        asking.open_all("alice"); all_told(owner)
        with watching(asking) as w:
            (n,)=owner.execute("SELECT max(number) FROM journal").fetchone()
            owner.execute("INSERT INTO journal SELECT number+1,'wallet.renamed',subject,wallets,time,hash FROM journal WHERE number=%s",[n])
            time.sleep(1)
            asking.deposit("alice",1); all_told(owner); time.sleep(2)
            say("1 unknown type: events", len(w.events), "responses", len(w.told), "ended", w.ended, "feed alive", [t.name for t in threading.enumerate() if t.name=="journal-feed"])
            with watching(asking) as w2:
                asking.deposit("alice",1); all_told(owner); time.sleep(2)
                say("1 newcomer: events", len(w2.events), "responses", len(w2.told), "ended", w2.ended)
        owner.execute("DELETE FROM journal")
        owner.execute("INSERT INTO outbox (type,subject,wallets,time) SELECT 'transaction.posted','transactions/'||id,'{}',time FROM transactions")

def test_drain_with_idle(app, settings, owner):
    with ExitStack() as s:
        ctx = served(app, settings, drain_grace_s=8.0)
        target = ctx.__enter__()
        asking=Asking(target); idle=Idle(target)
        asking.open_all("alice")
        owner.execute("INSERT INTO outbox (type, subject, wallets, time) SELECT 'wallet.updated','wallets/alice','{alice}',now() FROM generate_series(1,10000)")
        all_told(owner)
        stuck=idle.stream(pb.WatchEventsRequest(from_start=True), timeout_s=None); next(stuck); time.sleep(1)
        t=time.monotonic(); ctx.__exit__(None,None,None)
        say("4 drain with one watcher that reads nothing: %.1fs of grace 8"%(time.monotonic()-t))
        idle.hang_up(); asking.hang_up()

def test_async_close(server, app):
    async def go():
        c=AsyncWalletClient(server)
        async def watch():
            async for e in c.watch_events(from_start=True): pass
            return "ended quietly"
        task=asyncio.create_task(watch()); await asyncio.sleep(.7)
        await c.close()
        done,_=await asyncio.wait([task],timeout=8)
        if not done: return "never ended"
        if task.cancelled(): return "task CANCELLED: "
        return repr(task.exception() or task.result())
    say("6 async close while watching:", asyncio.run(go()))

def test_sync_close_while_token(server, app):
    got=[]
    def token(): time.sleep(.5); return "x"
    c=WalletClient(server, token=token)
    def watch():
        try:
            for e in c.watch_events(from_start=True): pass
            got.append("ended quietly")
        except BaseException as e: got.append(repr(e))
    t=threading.Thread(target=watch); t.start(); time.sleep(.2); c.close(); t.join(5)
    say("7 sync close while token is fetched:", got)
    async def go():
        async def token(): await asyncio.sleep(.5); return "x"
        c=AsyncWalletClient(server, token=token)
        async def watch():
            async for e in c.watch_events(from_start=True): pass
            return "ended quietly"
        task=asyncio.create_task(watch()); await asyncio.sleep(.2); await c.close()
        await asyncio.wait([task],timeout=5)
        return "CANCELLED" if task.cancelled() else repr(task.exception() or task.result())
    say("7 async:", asyncio.run(go()))

def test_no_request(app, settings):
    with served(app, settings, watchers_max=2, grpc_calls_max=40) as target, Asking(target) as asking:
        ch=grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool",1)])
        stop=threading.Event()
        def never():
            stop.wait(); return; yield
        calls=[ch.stream_stream("/wallet.v1.EventService/WatchEvents", request_serializer=None, response_deserializer=None)(never()) for _ in range(6)]
        time.sleep(.5)
        a=asking.call("EventService/WatchEvents", pb.WatchEventsRequest(), timeout_s=3)
        say("8 six calls without a request: a watch hears", a.code, a.reason, "watchers under way 0 of 2")
        for _ in range(40):
            asking.stream(pb.WatchEventsRequest(), timeout_s=1)
        time.sleep(2)
        try: say("8 another service:", asking.call("WalletService/GetWallet", __import__("wallet.v1.wallet_service_pb2",fromlist=["x"]).GetWalletRequest(name="wallets/x"), timeout_s=3))
        except Exception as e: say(repr(e))
        stop.set(); [c.cancel() for c in calls]; ch.close()

def test_token(app, guarded, issuer, owner):
    from datetime import timedelta
    import inspect
    g=guarded.model_copy(update={"auth_leeway_s":0.0,"watch_heartbeat_s":.3})
    with telling(app), serving(app, server_limits(g), authentication(g)) as port:
        t=f"127.0.0.1:{port}"
        say(inspect.signature(issuer.token))
        all_=Asking(t, metadata=bearer(issuer.token(" ".join(Scope))))
        all_.open("alice", owner="anna"); all_.open("bob", owner="bert"); all_told(owner)
        tok=issuer.token("events.read", exp=int(time.time())+2)
        short=Asking(t, metadata=bearer(tok))
        anna=Asking(t, metadata=bearer(issuer.token("events.read wallet.read", owner="anna")))
        with watching(short) as w, watching(anna) as wa:
            time.sleep(3.5); all_.deposit("alice",1); all_.deposit("bob",1); all_.deposit("bob",1); all_.deposit("alice",1); all_told(owner); time.sleep(1)
            say("9 expired token: events", len(w.events), "ended", w.ended, "wallets told to one without wallet.read", [list(e.wallets) for e in w.events][:1])
            say("9b anna's numbers", [e.number for e in wa.events], "token", wa.told[-1].resume_token)
            say("9c new call with it", short.call("EventService/WatchEvents", pb.WatchEventsRequest()).reason)
        for a in (all_,short,anna): a.hang_up()

def test_log_code(app, settings, owner):
    from wallet_grpc.metrics import REGISTRY
    def n(code): return REGISTRY.get_sample_value("grpc_server_handled_total",{"grpc_service":"wallet.v1.EventService","grpc_method":"WatchEvents","grpc_code":code}) or 0
    with served(app, settings) as target, Asking(target) as asking:
        b={c:n(c) for c in ("OK","CANCELLED","DEADLINE_EXCEEDED")}
        w=Watcher(asking.stream(pb.WatchEventsRequest(), timeout_s=None)); wait_until(lambda: bool(w.told),timeout_s=5); w.leave()
        w=Watcher(asking.stream(pb.WatchEventsRequest(), timeout_s=.5)); w.end()
        time.sleep(.5)
        say("11 counted as", {c:n(c)-b[c] for c in b})

def test_dead_tuples(app, database, owner):
    import psycopg
    from scheduler.jobs import write_journal
    old=psycopg.connect(database.url); old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ"); old.execute("SELECT 1 FROM wallets")
    owner.execute("INSERT INTO outbox (type, subject, wallets, time) SELECT 'wallet.updated','wallets/alice','{alice}',now() FROM generate_series(1,150000)")
    for i in range(150):
        t=time.monotonic(); app.journal.write(1000); 
        if i in (0,50,149): say("25 write step",i,"%.0fms"%((time.monotonic()-t)*1000))
    t=time.monotonic(); app.journal.write(1000); say("25 idle tick %.0fms"%((time.monotonic()-t)*1000))
    old.close(); owner.execute("DELETE FROM journal")
