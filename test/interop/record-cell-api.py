"""
Writes test/vectors/cell-api.jsonl: what a real AHA answers to a fixed list of calls of the cell API, in order.

    .cache/peers/synapse-2.256.0/bin/python test/interop/record-cell-api.py > test/vectors/cell-api.jsonl

One row per call: who calls, method, arguments, and the answer. What is random in it has a name instead (`$bob`), given by the row that made it.
"""

import asyncio
import json
import sys
import tempfile

import synapse
import synapse.exc as s_exc
import synapse.lib.aha as s_aha
import synapse.telepath as s_telepath

NOISE = ('efile', 'eline', 'esrc', 'ename')

# who, method, args, kwargs, {name: path into the result}
STEPS = []


def step(who, meth, *args, save=None, **kwargs):
    STEPS.append((who, meth, list(args), kwargs, save or {}))


def reads(who):
    for meth in ('getCellType', 'isCellActive', 'getCellUser', 'getPermDefs', 'ps', 'getUserDefs', 'getRoleDefs', 'getAuthUsers', 'getAuthRoles', 'getAuthGates',
                 'getTasks', 'getReloadableSystems', 'getDmonSessions'):
        step(who, meth)


step('root', 'getCellIden', save={'cell': ()})
step('root', 'getRoleDefs', save={'all': (0, 'iden')})
step('root', 'getUserDefs', save={'root': (0, 'iden'), 'visi': (1, 'iden')})
step('visi', 'getCellInfo')
step('root', 'getSystemInfo')
reads('root')
reads('visi')
step('root', 'getPermDef', ['newp'])
step('visi', 'getHealthCheck')
step('root', 'getHealthCheck')

# users
step('root', 'addUser', 'bob', save={'bob': ('iden',)})
step('root', 'addUser', 'bob')
step('root', 'addUser', 'eve', 'evepass', email='eve@vertex.link', save={'eve': ('iden',)})
step('root', 'addUser', 'kim', iden='7ffd45ba7d9abd31d9ea92f9bc4a3ee5', save={'kim': ('iden',)})
step('root', 'addUser', 'kim2', iden='7ffd45ba7d9abd31d9ea92f9bc4a3ee5')
step('root', 'addUser', 'kim3', email='eve@vertex.link')
step('visi', 'addUser', 'mallory')
step('root', 'getUserDef', '$bob')
step('root', 'getUserDef', '$bob', False)
step('root', 'getUserDef', '$bob', packroles=False)
step('root', 'getUserDef', 'newp')
step('root', 'getUserDefByName', 'bob')
step('root', 'getUserDefByName', 'newp')
step('root', 'getUserInfo', 'bob')
step('root', 'getUserInfo', 'newp')
step('visi', 'getUserInfo', 'visi')
step('visi', 'getUserInfo', 'bob')
step('root', 'getAuthInfo', 'bob')
step('root', 'getAuthInfo', 'all')
step('root', 'getAuthInfo', 'newp')
step('root', 'setUserEmail', '$bob', 'Bob@Vertex.link')
step('root', 'setUserEmail', '$bob', 'eve@vertex.link')
step('root', 'setUserEmail', 'newp', 'x@vertex.link')
step('root', 'setUserLocked', '$bob', True)
step('root', 'getUserDefByName', 'bob')
step('root', 'setUserLocked', '$bob', False)
step('root', 'setUserLocked', '$root', True)
step('root', 'setUserLocked', 'newp', True)
step('root', 'setUserArchived', '$bob', True)
step('root', 'getAuthUsers')
step('root', 'getAuthUsers', archived=True)
step('root', 'setUserLocked', '$bob', False)
step('root', 'setUserArchived', '$bob', False)
step('root', 'getUserDefByName', 'bob')
step('root', 'setUserLocked', '$bob', False)
step('root', 'setUserArchived', '$root', True)
step('root', 'setUserAdmin', '$bob', True)
step('root', 'setUserAdmin', '$bob', False)
step('root', 'setUserAdmin', '$root', False)
step('root', 'setUserAdmin', 'newp', True)
step('root', 'setAuthAdmin', 'bob', True)
step('root', 'setAuthAdmin', 'bob', False)

# passwords
step('root', 'setUserPasswd', '$bob', 'bobpass')
step('root', 'setUserPasswd', '$bob', '')
step('root', 'setUserPasswd', 'newp', 'x')
step('visi', 'setUserPasswd', '$bob', 'x')
step('visi', 'setUserPasswd', '$visi', 'visipass')
step('root', 'tryUserPasswd', 'bob', 'bobpass')
step('root', 'tryUserPasswd', 'bob', 'newp')
step('root', 'tryUserPasswd', 'newp', 'newp')
step('visi', 'tryUserPasswd', 'bob', 'bobpass')
step('root', 'genUserOnepass', '$bob', save={'onepass': ()})
step('root', 'genUserOnepass', 'newp')
step('visi', 'genUserOnepass', '$bob')

# roles
step('root', 'addRole', 'friends', save={'friends': ('iden',)})
step('root', 'addRole', 'friends')
step('root', 'addRole', 'ninjas', iden='8ffd45ba7d9abd31d9ea92f9bc4a3ee5', save={'ninjas': ('iden',)})
step('root', 'addAuthRole', 'old', save={'old': ('iden',)})
step('root', 'getRoleDef', '$friends')
step('root', 'getRoleDef', 'newp')
step('root', 'getRoleDefByName', 'friends')
step('root', 'getRoleDefByName', 'newp')
step('root', 'getRoleInfo', 'friends')
step('visi', 'getRoleInfo', 'all')
step('visi', 'getRoleInfo', 'friends')
step('visi', 'getRoleInfo', 'newp')
step('root', 'addUserRole', '$bob', '$friends')
step('root', 'addUserRole', '$bob', '$ninjas', 0)
step('root', 'addUserRole', '$bob', '$ninjas')
step('root', 'addUserRole', '$bob', 'newp')
step('root', 'addUserRole', 'newp', '$friends')
step('root', 'getUserDefByName', 'bob')
step('root', 'setUserRoles', '$bob', ['$friends'])
step('root', 'setUserRoles', '$bob', ['$friends', '$all'])
step('root', 'setUserRoles', '$bob', ['$all', 'newp'])
step('root', 'getUserInfo', 'bob')
step('root', 'delUserRole', '$bob', '$all')
step('root', 'delUserRole', '$bob', '$ninjas')
step('root', 'delUserRole', '$bob', 'newp')
step('root', 'delUserRole', 'newp', '$friends')

# rules
step('root', 'addUserRule', '$bob', [True, ['foo', 'bar']])
step('root', 'addUserRule', '$bob', [False, ['foo']], 0)
step('root', 'addUserRule', '$bob', [True, ['baz']], indx=1, gateiden=None)
step('root', 'addUserRule', '$bob', [True, ['baz']])
step('root', 'addUserRule', '$bob', [True, ['gated']], gateiden='newp')
step('root', 'addUserRule', '$bob', 'newp')
step('root', 'addUserRule', '$bob', [True, []])
step('root', 'addUserRule', '$bob', [True, ['']])
step('root', 'addUserRule', 'newp', [True, ['foo']])
step('root', 'getUserDefByName', 'bob')
step('root', 'delUserRule', '$bob', [True, ['baz']])
step('root', 'delUserRule', '$bob', [True, ['never']])
step('root', 'setUserRules', '$bob', [[True, ['one']], [False, ['two', 'three']]])
step('root', 'setUserRules', '$bob', [[True, ['one']]], gateiden='newp')
step('root', 'addAuthRule', 'bob', [True, ['old']])
step('root', 'delAuthRule', 'bob', [True, ['old']])
step('root', 'addAuthRule', 'newp', [True, ['old']])
step('root', 'addRoleRule', '$friends', [True, ['aha', 'service', 'get']])
step('root', 'addRoleRule', '$friends', [False, ['aha', 'service', 'add']], indx=0)
step('root', 'addRoleRule', 'newp', [True, ['foo']])
step('root', 'delRoleRule', '$friends', [True, ['never']])
step('root', 'setRoleRules', '$ninjas', [[True, ['katana']]])
step('root', 'getRoleDefs')
step('root', 'isUserAllowed', '$bob', ['one', 'more'])
step('root', 'isUserAllowed', '$bob', ['two', 'three'])
step('root', 'isUserAllowed', '$bob', ['newp'])
step('root', 'isUserAllowed', '$bob', ['newp'], default=True)
step('root', 'isUserAllowed', '$bob', ['one'], gateiden='newp')
step('root', 'isUserAllowed', 'newp', ['one'])
step('root', 'isRoleAllowed', '$ninjas', ['katana', 'sharp'])
step('root', 'isRoleAllowed', '$ninjas', ['newp'])
step('root', 'isRoleAllowed', 'newp', ['newp'])
step('visi', 'allowed', ['newp'])
step('visi', 'allowed', ['newp'], True)
step('visi', 'allowed', ['newp'], default=False)
step('root', 'allowed', ['newp'])
step('root', 'getAuthGate', 'newp')
step('root', 'getAuthGate', 'cortex')
step('root', 'getAuthGates')

# API keys
step('root', 'addUserApiKey', 'k1', save={'k1text': (0,), 'k1': (1, 'iden')})
step('root', 'addUserApiKey', 'k2', duration=86400000, useriden='$bob', save={'k2text': (0,), 'k2': (1, 'iden')})
step('root', 'addUserApiKey', 'k3', duration=0)
step('root', 'addUserApiKey', 'k3', useriden='newp')
step('visi', 'addUserApiKey', 'mine', save={'minetext': (0,), 'mine': (1, 'iden')})
step('visi', 'addUserApiKey', 'his', useriden='$bob')
step('root', 'listUserApiKeys')
step('root', 'listUserApiKeys', '$bob')
step('root', 'listUserApiKeys', 'newp')
step('visi', 'listUserApiKeys')
step('visi', 'listUserApiKeys', '$bob')
step('root', 'checkUserApiKey', '$k2text')
step('root', 'checkUserApiKey', 'newp')
step('visi', 'checkUserApiKey', '$k2text')
step('visi', 'delUserApiKey', '$k1')
step('root', 'delUserApiKey', 'newp')
step('root', 'delUserApiKey', '$k2')
step('root', 'listUserApiKeys', useriden='$bob')

# tasks
step('root', 'getTask', 'newp')
step('root', 'killTask', 'newp')
step('root', 'killTask', 'newp', peers=False)
step('visi', 'getTask', 'newp')
step('visi', 'killTask', 'newp')
step('visi', 'kill', 'newp')
step('root', 'kill', 'newp')

# calls that do not fit
step('root', 'addUser')
step('root', 'addUser', 'a', 'b', 'c', 'd', 'e')
step('root', 'addUser', 'a', name='b')
step('root', 'addUser', 'a', newp=1)
step('root', 'addUserRule')
step('root', 'addAuthRule', newp=1)
step('root', 'setUserRules')
step('root', 'getCellInfo', 1)
step('root', 'getUserDefByName', 'a', 'b')
step('root', 'getTasks', 1, 2, 3)
step('visi', 'addUser', newp=1)
step('root', 'newp')
step('root', '_newp')
step('root', 'reload', 'newp')
step('visi', 'reload')
step('visi', 'shutdown')
step('visi', 'getReloadableSystems')
step('visi', 'getSystemInfo')
step('visi', 'logs')
step('visi', 'watch')
step('visi', 'getDmonSessions')

# being somebody else, and the end
step('visi', 'setCellUser', '$root')
step('root', 'setCellUser', 'newp')
step('root', 'setUserLocked', '$eve', True)
step('root', 'setCellUser', '$eve')
step('root2', 'setCellUser', '$bob')
step('root2', 'getCellUser')
step('root2', 'addUser', 'mallory')
step('root', 'delRole', '$friends')
step('root', 'delRole', '$friends')
step('root', 'delRole', '$all')
step('root', 'delAuthRole', '$old')
step('root', 'getUserDefByName', 'bob')
step('root', 'delUser', '$bob')
step('root', 'delUser', '$bob')
step('root', 'delUser', '$root')
step('root', 'delAuthUser', '$kim')
step('root', 'getUserDefs')
step('root', 'getRoleDefs')


# Facts of the machine and the moment, by their key.
MASKED = ('created', 'updated', 'expires', 'addr', 'commit', 'run', 'started', 'cellstarttime', 'celluptime', 'volsize', 'volfree', 'cellrealdisk', 'cellapprdisk',
          'osversion', 'pyversion', 'totalmem', 'availmem', 'cpucount', 'sysctls', 'tmpdir', 'nexsindx', 'indx', 'backupvolsize', 'backupvolfree')


def listed(valu):
    if isinstance(valu, (list, tuple)):
        return [listed(item) for item in valu]
    if isinstance(valu, dict):
        return {('null' if key is None else key): listed(item) for key, item in valu.items()}
    return valu


def dig(valu, path):
    for key in path:
        valu = valu[key]
    return valu


def named(valu, names):
    '''Puts names where the random texts are; in the text of an error too.'''
    if isinstance(valu, str):
        for text, name in names.items():
            valu = valu.replace(text, '$' + name)
        return valu
    if isinstance(valu, list):
        return [named(item, names) for item in valu]
    if isinstance(valu, dict):
        return {named(key, names): ('$masked' if key in MASKED else named(item, names)) for key, item in valu.items()}
    return valu


def filled(valu, texts):
    if isinstance(valu, str) and valu.startswith('$'):
        return texts[valu[1:]]
    if isinstance(valu, list):
        return [filled(item, texts) for item in valu]
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
    texts, names = {}, {}
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'secret', 'https:port': None, 'dmon:listen': 'tcp://127.0.0.1:0', 'aha:network': 'demo.net', 'health:sysctl:checks': False}
        async with await s_aha.AhaCell.anit(dirn, conf=conf) as aha:
            await aha.auth.addUser('visi', passwd='visipass')
            port = aha.sockaddr[1]
            urls = {'root': f'tcp://root:secret@127.0.0.1:{port}', 'visi': f'tcp://visi:visipass@127.0.0.1:{port}'}
            urls['root2'] = urls['root']
            proxies = {who: await s_telepath.openurl(url) for who, url in urls.items()}
            print(json.dumps({'about': f'synapse {synapse.verstring}, AHA with users root and visi, network demo.net; made by test/interop/record-cell-api.py'}))
            for who, meth, args, kwargs, save in STEPS:
                retn = await ask(proxies[who], meth, filled(args, texts), {key: filled(item, texts) for key, item in kwargs.items()})
                for name, path in save.items():
                    texts[name] = dig(retn[1], path)
                    names[texts[name]] = name
                print(json.dumps({'as': who, 'meth': meth, 'args': args, 'kwargs': kwargs, 'save': save, 'retn': named(retn, names)}))
            for proxy in proxies.values():
                await proxy.fini()


if __name__ == '__main__':
    asyncio.run(main())
