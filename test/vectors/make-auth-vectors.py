"""Records what Synapse decides about permissions and passwords, with a bare cell in a temporary directory.

    python make-auth-vectors.py allow     > auth-allow.jsonl      read by test/auth/allow.test.ts
    python make-auth-vectors.py passwords > auth-passwords.jsonl  read by test/auth/policy.test.ts and test/cell/passwords.test.ts

Run it with a Python that has synapse==2.256.0. The first line of each file is the version. The cases of the first file are the same at each
run; the hashes of the second are not.
"""

import asyncio
import base64
import json
import random
import sys
import tempfile

import synapse.exc as s_exc
import synapse.lib.cell as s_cell
import synapse.lib.crypto.passwd as s_passwd
import synapse.lib.version as s_version

CASES = 300
ELEMENTS = ('a', 'b', 'c')


class Cases:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def path(self, longest=3):
        return [self.random.choice(ELEMENTS) for _ in range(self.random.randint(1, longest))]

    def rules(self, most):
        return [[self.random.random() < 0.5, self.path()] for _ in range(self.random.randint(0, most))]

    def chance(self, part):
        return self.random.random() < part


async def decisions():
    cases = Cases(2256)
    with tempfile.TemporaryDirectory() as dirn:
        async with await s_cell.Cell.anit(dirn, conf={'health:sysctl:checks': False}) as cell:
            for number in range(CASES):
                yield await decision(cell.auth, cases, number)


async def decision(auth, cases, number):
    gate = await auth.addAuthGate(f'gate{number}', 'thing')
    user = await auth.addUser(f'user{number}')
    roles = [await auth.addRole(f'role{number}.{index}') for index in range(cases.random.randint(0, 3))]
    made = {
        'admin': cases.chance(0.04),
        'locked': cases.chance(0.04),
        'rules': cases.rules(2),
        'gate': {'admin': cases.chance(0.08), 'rules': cases.rules(2)},
        'roles': [{'rules': cases.rules(2), 'gate': {'rules': cases.rules(2)}} for _ in roles],
    }
    await user.setRules(made['rules'])
    await user.setRules(made['gate']['rules'], gateiden=gate.iden)
    await user.setAdmin(made['admin'])
    await user.setAdmin(made['gate']['admin'], gateiden=gate.iden)
    await user.setLocked(made['locked'])
    # A random place for each: the order of the roles is what the server says it is.
    for role, info in zip(roles, made['roles']):
        await role.setRules(info['rules'])
        await role.setRules(info['gate']['rules'], gateiden=gate.iden)
        await user.grant(role.iden, indx=cases.random.randint(0, 3))
    indexes = {role.iden: index for index, role in enumerate(roles)}
    made['order'] = [indexes[iden] for iden in user.info['roles'] if iden in indexes]

    perm = cases.path()
    asked = {
        'path': perm,
        'gate': cases.random.choice([None, gate.iden, gate.iden, 'nosuchgate']),
        'default': cases.random.choice([None, False, True]),
    }
    gateiden = asked['gate']
    reason = user.getAllowedReason(perm, default=asked['default'], gateiden=gateiden)
    return {
        'user': made,
        'asked': asked,
        'gate': gate.iden,
        'allowed': user.allowed(perm, default=asked['default'], gateiden=gateiden),
        'deepdeny': user.allowed(perm, default=asked['default'], gateiden=gateiden, deepdeny=True),
        'reason': reason.mesg,
        'roles': [role.allowed(perm, default=asked['default'], gateiden=gateiden) for role in roles],
        'names': [role.name for role in roles],
    }


POLICIES = [
    {'complexity': {'length': 12, 'sequences': 3, 'upper:count': 2, 'lower:count': 2, 'special:count': 2, 'number:count': 2}},
    {'complexity': {'length': 4}},
    {'complexity': {'sequences': 2}},
    {'complexity': {'sequences': 4, 'special:valid': '-_', 'special:count': 1}},
    {'complexity': {'upper:valid': None, 'special:valid': None, 'number:count': None}},
    {'complexity': {'upper:valid': None, 'lower:valid': None, 'special:valid': None, 'number:valid': None}},
    {'complexity': {'lower:valid': 'àéîõü', 'lower:count': 2}},
    {'complexity': None, 'attempts': 3},
    {'complexity': {}},
]
PASSWORDS = [
    'a', 'abc', 'cba', 'abcd', 'dcba', '9876', 'aab', 'Aa1!', 'AAbb11!!', 'ABab12!?xYq9', 'AcAcbdbd1357!?#$', 'no-seq_here', 'pass word', 'ünïcödé',
    'àéîõü', '\U0001f600\U0001f601\U0001f602', '~\x7f\x80', '\'"\\', '12', '21', '1', 'UPPERCASEONLY', 'lowercaseonly', '-_-_-_', 'x' * 100,
    'zyxwvutsrqponm', 'A1!a' * 5, '\tTab1!tab', 'АБВ', 'p@ssW0rd!p@ssW0rd!',
]


async def passwords():
    for policy in POLICIES:
        with tempfile.TemporaryDirectory() as dirn:
            conf = {'health:sysctl:checks': False, 'auth:passwd:policy': policy}
            async with await s_cell.Cell.anit(dirn, conf=conf) as cell:
                user = await cell.auth.addUser('visi')
                for passwd in PASSWORDS:
                    failures = []
                    try:
                        await user._checkPasswdPolicy(passwd, None)
                    except s_exc.BadArg as e:
                        failures, mesg = e.get('failures'), e.get('mesg')
                        assert mesg == '\n'.join(
                            ['Cannot change password due to the following policy violations:'] + [f'  - {one}' for one in failures]
                        )
                    yield {'policy': policy, 'passwd': passwd, 'failures': failures}
    for passwd in ('secret', 'ünïcödé \U0001f600', 'x' * 300):
        shadow = await s_passwd.getShadowV2(passwd)
        params = shadow['func_params']
        shadow = {**shadow, 'hashed': text(shadow['hashed']), 'func_params': {**params, 'salt': text(params['salt'])}}
        yield {'shadow': shadow, 'passwd': passwd}
    iden, key, shadow = await s_passwd.generateApiKey()
    params = shadow['func_params']
    shadow = {**shadow, 'hashed': text(shadow['hashed']), 'func_params': {**params, 'salt': text(params['salt'])}}
    yield {'apikey': key, 'iden': iden, 'shadow': shadow}
    inaugural = {
        'roles': [{'name': 'readers', 'rules': [[True, ['axon']], [False, ['axon', 'del']]]}],
        'users': [
            {'name': 'visi', 'email': 'Visi@Vertex.LINK', 'admin': True, 'roles': ['readers', 'all'], 'rules': [[True, ['aha']]]},
            {'name': 'a user with a name of more than thirty-one characters'},
        ],
    }
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'health:sysctl:checks': False, 'inaugural': inaugural}
        async with await s_cell.Cell.anit(dirn, conf=conf) as cell:
            users = [user.pack() for user in cell.auth.users()]
            roles = [role.pack() for role in cell.auth.roles()]
            yield {'cell': cell.iden, 'inaugural': inaugural, 'users': users, 'roles': roles}


def text(data):
    return base64.b64encode(data).decode()


async def main(kind):
    print(json.dumps({'synapse': s_version.verstring}))
    async for row in {'allow': decisions, 'passwords': passwords}[kind]():
        print(json.dumps(row))


if __name__ == '__main__':  # Synapse starts processes of its own, which load this file again
    asyncio.run(main(sys.argv[1]))
