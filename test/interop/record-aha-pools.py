"""
Writes test/vectors/aha-pools.jsonl: what a real AHA answers about pools and AHA servers, and what it tells who follows a pool, in order.

    .cache/peers/synapse-2.256.0/bin/python test/interop/record-aha-pools.py > test/vectors/aha-pools.jsonl

One row per call: session, method, arguments and the answer; `follow` begins to follow a pool, `heard` is what has come since then, and
`isOver` whether that was the end. Times, tokens and idens of users are masked.
"""

import asyncio
import json
import tempfile

import synapse
import synapse.exc as s_exc
import synapse.lib.aha as s_aha
import synapse.telepath as s_telepath

NOISE = ('efile', 'eline', 'esrc', 'ename')
NET = 'demo.net'
POOL = 'pool00.axon...'
FULL = f'pool00.axon.{NET}'
STEPS = []


def step(who, meth, *args, **kwargs):
    STEPS.append(('call', who, meth, list(args), kwargs))


def follow(follower, who, pool):
    STEPS.append(('follow', follower, who, pool))


def heard(follower):
    STEPS.append(('heard', follower))


def close(who):
    STEPS.append(('close', who))


def info(run, name, **more):
    urlinfo = {'scheme': 'ssl', 'port': 34243, 'path': '', 'hostname': f'{name}.{NET}', 'ca': NET}
    return {'run': run, 'iden': 'i0', 'leader': 'axon', 'urlinfo': urlinfo, 'ready': True, 'promotable': True, **more}


def looks(who):
    for name in (POOL, FULL, 'newp...'):
        step(who, 'getAhaPool', name)
        step(who, 'getAhaSvc', name)
    step(who, 'getAhaSvc', POOL, filters={'mirror': True})
    step(who, 'getAhaSvcMirrors', POOL)
    step(who, 'getAhaPools')


# servers
step('root', 'getAhaServers')
step('root', 'addAhaServer', {'host': 'aha.demo.net', 'port': 27492})
step('root', 'addAhaServer', {'host': 'aha.demo.net'})
step('root', 'addAhaServer', {'host': '01.aha.demo.net', 'port': 100})
step('root', 'addAhaServer', {'host': 'b.demo.net', 'port': 30000})
step('root', 'addAhaServer', {'host': 'b.demo.net', 'port': 200})
step('root', 'addAhaServer', {'host': 'b.demo.net', 'port': 99})
step('root', 'getAhaServers')
step('visi', 'getAhaServers')
step('visi', 'getAhaUrls')
step('visi', 'getAhaUrls', user='visi')
step('visi', 'getAhaServer', 'aha.demo.net', 27492)
step('visi', 'getAhaServer', 'aha.demo.net', 1)
step('visi', 'addAhaServer', {'host': 'c.demo.net'})
step('visi', 'delAhaServer', 'b.demo.net', 99)
step('root', 'delAhaServer', 'b.demo.net', 99)
step('root', 'delAhaServer', 'b.demo.net', 99)
step('root', 'getAhaServers')
step('root', 'addAhaServer', {'port': 27492})
step('root', 'addAhaServer', {'host': 'odd.demo.net', 'port': 'x'})

# pools
looks('root')
follow('f0', 'visi', POOL)
heard('f0')
for name in ('00', '01', '02'):
    step('s0', 'addAhaSvc', f'{name}.axon', info(f'r{name}', f'{name}.axon'), network=NET)
step('s0', 'addAhaSvc', 'axon', info('r00', '00.axon'), network=NET)
step('visi', 'addAhaPool', POOL, {})
step('root', 'addAhaPool', 'axon...', {})
step('root', 'addAhaPool', POOL, {})
looks('root')
looks('visi')
looks('nobody')
follow('f1', 'visi', POOL)
heard('f1')
step('visi', 'addAhaPoolSvc', POOL, '00.axon...', {})
step('root', 'addAhaPoolSvc', POOL, 'newp...', {})
step('root', 'addAhaPoolSvc', 'newp...', '00.axon...', {})
step('root', 'addAhaPoolSvc', POOL, '00.axon...', {})
heard('f1')
looks('root')
looks('visi')
looks('nobody')
step('root', 'addAhaPoolSvc', POOL, '00.axon...', {})
heard('f1')
step('root', 'addAhaPoolSvc', FULL, f'01.axon.{NET}', {'creator': '0' * 32})
heard('f1')
step('root', 'addAhaPoolSvc', POOL, '02.axon...', {'odd': 1})
step('root', 'addAhaPoolSvc', POOL, '02.axon...', {'creator': 'visi'})
heard('f1')
follow('f2', 'root', FULL)
heard('f2')
step('visi', 'delAhaPoolSvc', POOL, '00.axon...')
step('root', 'delAhaPoolSvc', POOL, '02.axon...')
heard('f1')
step('root', 'delAhaPoolSvc', 'newp...', '00.axon...')
step('root', 'delAhaPoolSvc', POOL, '00.axon...')
heard('f1')
heard('f2')
looks('root')
step('root', 'addAhaPool', 'pool01.axon...', {'creator': '1' * 32})
step('root', 'addAhaPool', 'pool02.axon...', {'odd': 1})
step('root', 'addAhaPool', 'pool02.axon...', {'creator': 'visi'})
step('root', 'addAhaPool', 'pool02', {})
step('root', 'getAhaPool', 'pool02')
step('root', 'getAhaPools')
# a service under the name of a pool
step('s0', 'addAhaSvc', 'pool01.axon', info('r9', 'pool01.axon'), network=NET)
step('root', 'getAhaSvc', 'pool01.axon...')
step('root', 'delAhaPool', 'pool01.axon...')
# members that go, and are gone
step('root', 'getAhaSvc', POOL)
close('s0')
heard('f1')
step('root', 'getAhaSvc', POOL)
step('s1', 'addAhaSvc', '01.axon', info('r1', '01.axon'), network=NET)
heard('f1')
step('root', 'delAhaSvc', '01.axon', network=NET)
heard('f1')
step('root', 'getAhaPool', POOL)
step('root', 'getAhaSvc', POOL)
follow('f3', 'root', POOL)
heard('f3')
step('s1', 'addAhaSvc', '01.axon', info('r1', '01.axon'), network=NET)
heard('f3')
# a pool that is there
step('root', 'addAhaPool', POOL, {})
heard('f1')
step('visi', 'delAhaPool', POOL)
step('root', 'delAhaPool', 'newp...')
step('root', 'delAhaPool', POOL)
heard('f1')
heard('f2')
heard('f3')
step('root', 'delAhaPool', POOL)
step('root', 'getAhaPools')


def listed(valu):
    if isinstance(valu, (list, tuple)):
        return [listed(item) for item in valu]
    if isinstance(valu, dict):
        return {key: listed(item) for key, item in valu.items()}
    return valu


def masked(valu):
    if isinstance(valu, list):
        return [masked(item) for item in valu]
    if isinstance(valu, dict):
        return {key: '$masked' if key in ('online', 'created') or (key in ('creator', 'user') and len(str(item)) == 32 and len(set(item)) > 1)
                else masked(item) for key, item in valu.items()}
    return valu


def failure(e):
    info = {key: listed(item) for key, item in e.errinfo.items() if key not in NOISE}
    return [False, [info.pop('errx', None) or e.__class__.__name__, info]]


async def ask(proxy, meth, args, kwargs):
    try:
        retn = await proxy.task((meth, tuple(args), kwargs))
        if hasattr(retn, '__aiter__'):
            retn = [item async for item in retn]
        return [True, listed(retn)]
    except s_exc.SynErr as e:
        return failure(e)


class Follower:
    def __init__(self):
        self.items, self.over = [], False

    async def run(self, proxy, pool):
        try:
            async for item in proxy.iterPoolTopo(pool):
                self.items.append(listed(item))
            self.items.append('end')
        except s_exc.SynErr as e:
            self.items.append(failure(e))
        self.over = True


async def main():
    followers = {}
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'secret', 'https:port': None, 'dmon:listen': 'tcp://127.0.0.1:0', 'aha:network': NET, 'health:sysctl:checks': False}
        async with await s_aha.AhaCell.anit(dirn, conf=conf) as aha:
            rules = {'nobody': [], f'visi@{NET}': [('get', NET)]}
            for name, allows in rules.items():
                user = await aha.auth.addUser(name, passwd='secret')
                for allow in allows:
                    await user.addRule((True, ('aha', 'service', *allow)))
            port = aha.sockaddr[1]
            users = {'root': 'root', 'visi': f'visi%40{NET}', 'nobody': 'nobody', 's0': 'root', 's1': 'root'}
            proxies = {who: await s_telepath.openurl(f'tcp://{user}:secret@127.0.0.1:{port}') for who, user in users.items()}
            print(json.dumps({'about': f'synapse {synapse.verstring}, AHA of {NET}; made by test/interop/record-aha-pools.py'}))
            for kind, *rest in STEPS:
                if kind == 'close':
                    await proxies.pop(rest[0]).fini()
                    await asyncio.sleep(0.5)
                    row = {'close': rest[0]}
                elif kind == 'follow':
                    name, who, pool = rest
                    followers[name] = follower = Follower()
                    asyncio.ensure_future(follower.run(proxies[who], pool))
                    await asyncio.sleep(0.3)
                    row = {'follow': name, 'as': who, 'pool': pool}
                elif kind == 'heard':
                    await asyncio.sleep(0.3)
                    follower = followers[rest[0]]
                    items, follower.items = follower.items, []
                    row = {'heard': rest[0], 'items': masked(items), 'isOver': follower.over}
                else:
                    who, meth, args, kwargs = rest
                    retn = await ask(proxies[who], meth, args, kwargs)
                    row = {'as': who, 'meth': meth, 'args': args, 'kwargs': kwargs, 'retn': masked(retn)}
                print(json.dumps(row))
            for proxy in proxies.values():
                await proxy.fini()


if __name__ == '__main__':
    asyncio.run(main())
