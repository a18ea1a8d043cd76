"""
Writes test/vectors/aha-services.jsonl: what a real AHA answers to services that register, go and are looked up, in order.

    .cache/peers/synapse-2.256.0/bin/python test/interop/record-aha-services.py > test/vectors/aha-services.jsonl

One row per call: session, method, arguments and the answer; or the session that is closed. Tokens are numbered in the order in which they show.
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
STEPS = []


def step(who, meth, *args, **kwargs):
    STEPS.append((who, meth, list(args), kwargs))


def close(who):
    STEPS.append((who, None, [], {}))


def info(run, name, **more):
    urlinfo = {'scheme': 'ssl', 'port': 34243, 'path': '', 'hostname': f'{name}.{NET}', 'ca': NET}
    return {'run': run, 'iden': 'i0', 'leader': 'axon', 'urlinfo': urlinfo, 'ready': True, 'promotable': True, **more}


def looks(who):
    for name in ('axon...', '00.axon...', f'01.axon.{NET}', 'axon', 'newp...', 'newp'):
        step(who, 'getAhaSvc', name)
        step(who, 'getAhaSvc', name, filters={'mirror': False})
    step(who, 'getAhaSvc', 'axon...', filters={'mirror': True})
    step(who, 'getAhaSvc', '01.axon...', filters={'mirror': True})
    step(who, 'getAhaSvcs')
    step(who, 'getAhaSvcs', NET)
    step(who, 'getAhaSvcs', network='newp')
    step(who, 'getAhaSvcMirrors', 'axon...')
    step(who, 'getAhaSvcMirrors', '01.axon...')
    step(who, 'getAhaSvcMirrors', 'newp...')
    for args in (('i0',), ('i0', False), ('i0', True, 'r0'), ('i0', True, 'r1'), ('newp',)):
        step(who, 'getAhaSvcsByIden', *args)


looks('root')
step('s0', 'modAhaSvcInfo', f'00.axon.{NET}', {'ready': True})
step('s0', 'addAhaSvc', '00.axon', info('r0', '00.axon'), network=NET)
step('s0', 'addAhaSvc', 'axon', info('r0', '00.axon'), network=NET)
looks('root')
looks('visi')
looks('nobody')
step('s1', 'addAhaSvc', '01.axon', info('r1', '01.axon', ready=False), network=NET)
looks('root')
step('s1', 'modAhaSvcInfo', f'01.axon.{NET}', {'ready': True})
step('s1', 'modAhaSvcInfo', '01.axon...', {})
looks('root')
step('s1', 'modAhaSvcInfo', '01.axon...', {'ready': True, 'foo': 1})
step('nobody', 'modAhaSvcInfo', '01.axon...', {'ready': False})
step('nobody', 'modAhaSvcInfo', 'newp...', {'ready': False})
step('nobody', 'modAhaSvcInfo', 'newp...', {'run': 'x'})
step('nobody', 'addAhaSvc', '02.axon', info('r2', '02.axon'), network=NET)
step('nobody', 'addAhaSvc', '02.axon', info('r2', '02.axon'))
step('nobody', 'addAhaSvc', 'axon', info('r2', '02.axon'))
step('axsvc', 'addAhaSvc', '05.axon', info('r5', '05.axon'), network=NET)
step('axsvc', 'addAhaSvc', 'axon', info('r5', '05.axon'), network=NET)
step('axsvc', 'modAhaSvcInfo', '05.axon...', {'ready': False})
step('root', 'getAhaSvcs')
# the new leader has the alias before the old one goes
step('s1', 'addAhaSvc', 'axon', info('r1', '01.axon'), network=NET)
close('s0')
looks('root')
# it comes back as a mirror
step('s2', 'modAhaSvcInfo', f'00.axon.{NET}', {'ready': True})
step('root', 'getAhaSvc', '00.axon...')
step('s2', 'addAhaSvc', '00.axon', info('r00', '00.axon'), network=NET)
looks('root')
close('axsvc')
close('s1')
looks('root')
# what a service says of itself is kept as it is
odd = {'urlinfo': {'scheme': 'tcp', 'host': 'cryo.example', 'port': 1, 'odd': [1, None, {'a': 1.5}]}, 'newer': {'x': ['y', True]}}
step('s3', 'addAhaSvc', 'cryo', odd, network=NET)
step('s3', 'addAhaSvc', 'cryo.other.net', odd)
step('s3', 'addAhaSvc', '00.cryo', odd, network='other.net')
step('root', 'getAhaSvcs')
step('root', 'getAhaSvcs', 'other.net')
step('root', 'getAhaSvc', 'cryo...')
step('root', 'getAhaSvc', 'cryo.other.net')
step('root', 'getAhaSvc', '00.cryo.other.net')
step('visi', 'getAhaSvc', 'cryo.other.net')
step('root', 'getAhaSvcMirrors', 'cryo...')
step('nobody', 'delAhaSvc', 'cryo', network=NET)
step('nobody', 'delAhaSvc', 'cryo.other.net')
step('nobody', 'delAhaSvc', 'cryo')
step('root', 'delAhaSvc', 'cryo', network=NET)
step('root', 'delAhaSvc', 'cryo', network=NET)
step('root', 'delAhaSvc', 'cryo.other.net')
step('root', 'delAhaSvc', '01.axon', NET)
step('root', 'getAhaSvcs')
close('s3')
step('root', 'getAhaSvcs')


def listed(valu):
    if isinstance(valu, (list, tuple)):
        return [listed(item) for item in valu]
    if isinstance(valu, dict):
        return {key: listed(item) for key, item in valu.items()}
    return valu


def masked(valu, tokens):
    if isinstance(valu, list):
        return [masked(item, tokens) for item in valu]
    if isinstance(valu, dict):
        return {key: tokens.setdefault(item, f'token-{len(tokens)}') if key == 'online' else '$user' if key == 'user' and len(str(item)) == 32
                else masked(item, tokens) for key, item in valu.items()}
    return valu


async def ask(proxy, meth, args, kwargs):
    try:
        retn = await proxy.task((meth, tuple(args), kwargs))
        if hasattr(retn, '__aiter__'):
            retn = [item async for item in retn]
        return [True, listed(retn)]
    except s_exc.SynErr as e:
        info = {key: listed(item) for key, item in e.errinfo.items() if key not in NOISE}
        name = info.pop('errx', None) or e.__class__.__name__
        return [False, [name, info]]


async def main():
    tokens = {}
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'secret', 'https:port': None, 'dmon:listen': 'tcp://127.0.0.1:0', 'aha:network': NET, 'health:sysctl:checks': False}
        async with await s_aha.AhaCell.anit(dirn, conf=conf) as aha:
            rules = {'nobody': [], f'visi@{NET}': [('get', NET)], 'axsvc': [('get', NET), ('add', NET, '05.axon')]}
            for name, allows in rules.items():
                user = await aha.auth.addUser(name, passwd='secret')
                for allow in allows:
                    await user.addRule((True, ('aha', 'service', *allow)))
            port = aha.sockaddr[1]
            users = {'root': 'root', 'visi': f'visi%40{NET}', 'nobody': 'nobody', 'axsvc': 'axsvc', 's0': 'root', 's1': 'root', 's2': 'root', 's3': 'root'}
            proxies = {who: await s_telepath.openurl(f'tcp://{user}:secret@127.0.0.1:{port}') for who, user in users.items()}
            print(json.dumps({'about': f'synapse {synapse.verstring}, AHA of {NET}; made by test/interop/record-aha-services.py'}))
            for who, meth, args, kwargs in STEPS:
                if meth is None:
                    await proxies.pop(who).fini()
                    await asyncio.sleep(0.5)
                    print(json.dumps({'close': who}))
                    continue
                retn = await ask(proxies[who], meth, args, kwargs)
                print(json.dumps({'as': who, 'meth': meth, 'args': args, 'kwargs': kwargs, 'retn': masked(retn, tokens)}))
            for proxy in proxies.values():
                await proxy.fini()


if __name__ == '__main__':
    asyncio.run(main())
