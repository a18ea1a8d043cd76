"""Records what a real cell of Synapse answers over HTTPS: PYTHON test/interop/record-https.py > test/vectors/https.jsonl

PYTHON is one with synapse in it (see scripts/peers.ts). Each line is a request of `as` (a user with his password, a session that he opened,
an API key, or nobody) with its answer. What differs from run to run stands as {{name}}: identities, keys, one-time passwords.
"""
import asyncio
import base64
import json
import ssl
import sys
import tempfile

import aiohttp
import synapse.lib.cell as s_cell

KEPT = ('content-type', 'x-content-type-options', 'server', 'www-authenticate', 'access-control-allow-origin', 'allow')
GHOST = '0123456789abcdef' * 2
RULES = [[True, ['node', 'add']], [False, ['node']]]


def step(name, who, method, path, body=None, raw=None, headers=None, save=None):
    made = {'case': name, 'as': who, 'method': method, 'path': path}
    if body is not None:
        made['raw'] = json.dumps(body)
    if raw is not None:
        made['raw'] = raw
    if headers:
        made['headers'] = headers
    if save:
        made['save'] = save
    return made


def steps():
    get = lambda name, who, path, **more: step(name, who, 'GET', path, **more)
    post = lambda name, who, path, body=None, **more: step(name, who, 'POST', path, body, **more)
    yield get('users', 'root', '/api/v1/auth/users', save={'root': 'result.0.iden'})
    yield get('roles', 'root', '/api/v1/auth/roles', save={'all': 'result.0.iden'})
    yield get('robots', None, '/robots.txt')
    yield get('active', None, '/api/v1/active')
    yield get('unknown path', None, '/nothing')
    yield get('unknown path below api', 'root', '/api/v1/nothing')
    yield post('method that a path does not have', 'root', '/api/v1/active', {})
    yield step('put', 'root', 'PUT', '/api/v1/auth/users', {})
    yield step('options', None, 'OPTIONS', '/api/v1/auth/users')
    yield step('head', None, 'HEAD', '/api/v1/active')
    yield get('origin of the same host', None, '/api/v1/active', headers={'Origin': 'https://127.0.0.1'})
    yield get('origin of another host', None, '/api/v1/active', headers={'Origin': 'https://elsewhere.example'})

    # Nobody, and credentials that are wrong.
    for path in ('healthcheck', 'auth/users', 'auth/roles', 'auth/user/{{root}}', 'auth/role/{{all}}'):
        yield get(f'nobody: GET {path}', None, f'/api/v1/{path}')
    for path in ('auth/user/{{root}}', 'auth/password/{{root}}', 'auth/role/{{all}}', 'auth/adduser', 'auth/addrole', 'auth/delrole', 'auth/grant', 'auth/revoke', 'auth/onepass/issue'):
        yield post(f'nobody: POST {path}', None, f'/api/v1/{path}', {})
    yield get('basic: wrong password', 'root:wrong', '/api/v1/auth/users')
    yield get('basic: unknown user', 'ghost:secret', '/api/v1/auth/users')
    yield get('basic: not base64', None, '/api/v1/auth/users', headers={'Authorization': 'Basic %%%'})
    yield get('basic: no colon', None, '/api/v1/auth/users', headers={'Authorization': 'Basic cm9vdA=='})
    yield get('bearer', None, '/api/v1/auth/users', headers={'Authorization': 'Bearer abc'})
    yield get('api key: nonsense', None, '/api/v1/auth/users', headers={'X-API-KEY': 'nonsense'})
    yield get('cookie: nonsense', None, '/api/v1/auth/users', headers={'Cookie': 'sess=nonsense'})

    # Users.
    yield post('adduser: no name', 'root', '/api/v1/auth/adduser', {})
    yield post('adduser: not JSON', 'root', '/api/v1/auth/adduser', raw='{')
    yield post('adduser: no body', 'root', '/api/v1/auth/adduser')
    yield post('adduser: a list', 'root', '/api/v1/auth/adduser', raw='[]')
    yield post('adduser', 'root', '/api/v1/auth/adduser', {'name': 'visi', 'passwd': 'secret', 'email': 'Visi@Example.COM', 'rules': RULES}, save={'visi': 'result.iden'})
    yield post('adduser: admin', 'root', '/api/v1/auth/adduser', {'name': 'boss', 'passwd': 'secret', 'admin': True}, save={'boss': 'result.iden'})
    yield post('adduser: name only', 'root', '/api/v1/auth/adduser', {'name': 'bare'}, save={'bare': 'result.iden'})
    yield post('adduser: again', 'root', '/api/v1/auth/adduser', {'name': 'visi', 'passwd': 'secret'})
    yield post('adduser: name is a number', 'root', '/api/v1/auth/adduser', {'name': 12})
    yield post('adduser: by who may not', 'visi', '/api/v1/auth/adduser', {'name': 'nope'})
    yield get('user', 'visi', '/api/v1/auth/user/{{visi}}')
    yield get('user: another', 'visi', '/api/v1/auth/user/{{boss}}')
    yield get('user: unknown', 'root', f'/api/v1/auth/user/{GHOST}')
    yield get('user: no iden', 'root', '/api/v1/auth/user/newp')
    yield get('users: by who is not admin', 'visi', '/api/v1/auth/users')
    yield get('roles: by who is not admin', 'visi', '/api/v1/auth/roles')
    yield get('users: archived=1', 'root', '/api/v1/auth/users?archived=1')
    yield get('users: archived=0', 'root', '/api/v1/auth/users?archived=0')
    yield get('users: archived=2', 'root', '/api/v1/auth/users?archived=2')
    yield get('users: archived=x', 'root', '/api/v1/auth/users?archived=x')
    yield post('user: change by who may not', 'visi', '/api/v1/auth/user/{{visi}}', {'email': 'a@b.c'})
    yield post('user: change an unknown one', 'root', f'/api/v1/auth/user/{GHOST}', {'email': 'a@b.c'})
    yield post('user: change nothing', 'root', '/api/v1/auth/user/{{visi}}', {})
    yield post('user: change not with JSON', 'root', '/api/v1/auth/user/{{visi}}', raw='nope')
    yield post('user: name', 'root', '/api/v1/auth/user/{{bare}}', {'name': 'naked'})
    yield post('user: name of another', 'root', '/api/v1/auth/user/{{bare}}', {'name': 'visi'})
    yield post('user: email', 'root', '/api/v1/auth/user/{{visi}}', {'email': 'VISI@b.c'})
    yield post('user: rules', 'root', '/api/v1/auth/user/{{visi}}', {'rules': [[True, ['health']]]})
    yield post('user: admin', 'root', '/api/v1/auth/user/{{visi}}', {'admin': True})
    yield post('user: no admin', 'root', '/api/v1/auth/user/{{visi}}', {'admin': False})
    yield post('user: gate that does not exist', 'root', '/api/v1/auth/user/{{visi}}', {'rules': [], 'gate': 'nogate'})
    yield post('user: bad rules', 'root', '/api/v1/auth/user/{{visi}}', {'rules': 'health'})
    yield post('user: lock root', 'root', '/api/v1/auth/user/{{root}}', {'locked': True})
    yield post('user: rename root', 'root', '/api/v1/auth/user/{{root}}', {'name': 'toor'})
    yield post('user: root without admin', 'root', '/api/v1/auth/user/{{root}}', {'admin': False})
    yield get('healthcheck', 'root', '/api/v1/healthcheck')
    yield get('healthcheck: with the permission', 'visi', '/api/v1/healthcheck')
    yield get('healthcheck: without the permission', 'boss:secret', '/api/v1/healthcheck')
    yield post('user: no rules', 'root', '/api/v1/auth/user/{{visi}}', {'rules': []})
    yield get('healthcheck: denied', 'visi', '/api/v1/healthcheck')

    # Sessions.
    yield post('login: not JSON', None, '/api/v1/login', raw='{')
    yield post('login: no body', None, '/api/v1/login')
    yield post('login: no password', None, '/api/v1/login', {'user': 'visi'})
    yield post('login: user is a number', None, '/api/v1/login', {'user': 1, 'passwd': 'secret'})
    yield post('login: something else too', None, '/api/v1/login', {'user': 'visi', 'passwd': 'secret', 'more': 1})
    yield post('login: unknown user', None, '/api/v1/login', {'user': 'ghost', 'passwd': 'secret'})
    yield post('login: wrong password', None, '/api/v1/login', {'user': 'visi', 'passwd': 'wrong'})
    yield post('login: user without password', None, '/api/v1/login', {'user': 'naked', 'passwd': 'wrong'})
    yield post('login', 'sess:visi', '/api/v1/login', {'user': 'visi', 'passwd': 'secret'})
    yield get('session', 'sess:visi', '/api/v1/auth/users')
    yield post('session: not an admin', 'sess:visi', '/api/v1/auth/adduser', {'name': 'nope'})
    yield post('login: of the admin', 'sess:root', '/api/v1/login', {'user': 'root', 'passwd': 'root'})
    yield get('session: of the admin', 'sess:root', '/api/v1/auth/users')
    yield post('session: a change', 'sess:root', '/api/v1/auth/user/{{visi}}', {'email': 'v@b.c'})
    yield get('logout', 'sess:visi', '/api/v1/logout')
    yield get('session: after logout', 'sess:visi', '/api/v1/auth/users')
    yield get('logout: nobody', None, '/api/v1/logout')
    yield get('api key', 'key:visi', '/api/v1/auth/users')
    yield post('login: to be locked out', 'sess:visi', '/api/v1/login', {'user': 'visi', 'passwd': 'secret'})
    yield post('user: lock', 'root', '/api/v1/auth/user/{{visi}}', {'locked': True})
    yield get('session: of a locked user', 'sess:visi', '/api/v1/auth/users')
    yield get('basic: locked user', 'visi', '/api/v1/auth/users')
    yield get('api key: of a locked user', 'key:visi', '/api/v1/auth/users')
    yield post('login: locked user', None, '/api/v1/login', {'user': 'visi', 'passwd': 'secret'})
    yield post('user: archive', 'root', '/api/v1/auth/user/{{visi}}', {'archived': True})
    yield get('users: without the archived', 'root', '/api/v1/auth/users')
    yield get('users: with the archived', 'root', '/api/v1/auth/users?archived=1')
    yield post('user: unlock an archived one', 'root', '/api/v1/auth/user/{{visi}}', {'locked': False})
    yield post('user: unarchive', 'root', '/api/v1/auth/user/{{visi}}', {'archived': False})
    yield post('user: unlock', 'root', '/api/v1/auth/user/{{visi}}', {'locked': False})

    # Passwords.
    yield post('password: own', 'visi', '/api/v1/auth/password/{{visi}}', {'passwd': 'secret2'})
    yield get('basic: the old password', 'visi', '/api/v1/auth/users')
    yield get('basic: the new password', 'visi:secret2', '/api/v1/auth/users')
    yield post('password: by the admin', 'root', '/api/v1/auth/password/{{visi}}', {'passwd': 'secret'})
    yield post("password: another's", 'visi', '/api/v1/auth/password/{{boss}}', {'passwd': 'mine'})
    yield post('password: empty', 'root', '/api/v1/auth/password/{{visi}}', {'passwd': ''})
    yield post('password: a number', 'root', '/api/v1/auth/password/{{visi}}', {'passwd': 5})
    yield post('password: of an unknown user', 'root', f'/api/v1/auth/password/{GHOST}', {'passwd': 'x'})
    yield post('password: not JSON', 'root', '/api/v1/auth/password/{{visi}}', raw='nope')

    # Roles.
    yield post('addrole', 'root', '/api/v1/auth/addrole', {'name': 'analysts', 'rules': RULES}, save={'analysts': 'result.iden'})
    yield post('addrole: name only', 'root', '/api/v1/auth/addrole', {'name': 'plain'}, save={'plain': 'result.iden'})
    yield post('addrole: again', 'root', '/api/v1/auth/addrole', {'name': 'analysts'})
    yield post('addrole: no name', 'root', '/api/v1/auth/addrole', {})
    yield post('addrole: not JSON', 'root', '/api/v1/auth/addrole', raw='nope')
    yield post('addrole: by who may not', 'visi', '/api/v1/auth/addrole', {'name': 'x'})
    yield get('role', 'visi', '/api/v1/auth/role/{{analysts}}')
    yield get('role: unknown', 'visi', f'/api/v1/auth/role/{GHOST}')
    yield post('role: rules', 'root', '/api/v1/auth/role/{{analysts}}', {'rules': [[True, ['health']]]})
    yield post('role: nothing', 'root', '/api/v1/auth/role/{{analysts}}', {})
    yield post('role: unknown one', 'root', f'/api/v1/auth/role/{GHOST}', {'rules': []})
    yield post('role: by who may not', 'visi', '/api/v1/auth/role/{{analysts}}', {'rules': []})
    yield post('role: bad rules', 'root', '/api/v1/auth/role/{{analysts}}', {'rules': 5})
    yield post('role: not JSON', 'root', '/api/v1/auth/role/{{analysts}}', raw='nope')
    yield post('grant', 'root', '/api/v1/auth/grant', {'user': '{{visi}}', 'role': '{{analysts}}'})
    yield step('grant: by GET', 'root', 'GET', '/api/v1/auth/grant', {'user': '{{visi}}', 'role': '{{plain}}'})
    yield post('grant: again', 'root', '/api/v1/auth/grant', {'user': '{{visi}}', 'role': '{{analysts}}'})
    yield post('grant: unknown user', 'root', '/api/v1/auth/grant', {'user': GHOST, 'role': '{{analysts}}'})
    yield post('grant: unknown role', 'root', '/api/v1/auth/grant', {'user': '{{visi}}', 'role': GHOST})
    yield post('grant: no user', 'root', '/api/v1/auth/grant', {'role': '{{analysts}}'})
    yield post('grant: by who may not', 'visi', '/api/v1/auth/grant', {'user': '{{visi}}', 'role': '{{analysts}}'})
    yield get('healthcheck: by role', 'visi', '/api/v1/healthcheck')
    yield post('revoke', 'root', '/api/v1/auth/revoke', {'user': '{{visi}}', 'role': '{{analysts}}'})
    yield post('revoke: again', 'root', '/api/v1/auth/revoke', {'user': '{{visi}}', 'role': '{{analysts}}'})
    yield step('revoke: by GET', 'root', 'GET', '/api/v1/auth/revoke', {'user': '{{visi}}', 'role': '{{plain}}'})
    yield post('revoke: role of all', 'root', '/api/v1/auth/revoke', {'user': '{{visi}}', 'role': '{{all}}'})
    yield post('revoke: unknown user', 'root', '/api/v1/auth/revoke', {'user': GHOST, 'role': '{{analysts}}'})
    yield post('revoke: unknown role', 'root', '/api/v1/auth/revoke', {'user': '{{visi}}', 'role': GHOST})
    yield post('delrole: by who may not', 'visi', '/api/v1/auth/delrole', {'name': 'plain'})
    yield post('delrole', 'root', '/api/v1/auth/delrole', {'name': 'plain'})
    yield post('delrole: again', 'root', '/api/v1/auth/delrole', {'name': 'plain'})
    yield post('delrole: no name', 'root', '/api/v1/auth/delrole', {})
    yield post('delrole: role of all', 'root', '/api/v1/auth/delrole', {'name': 'all'})
    yield get('roles: at the end', 'root', '/api/v1/auth/roles')
    yield get('users: at the end', 'root', '/api/v1/auth/users?archived=1')

    # Last, because they leave half a user behind, and because a one-time password ends `behold`.
    yield post('adduser: empty password', 'root', '/api/v1/auth/adduser', {'name': 'empty', 'passwd': ''})
    yield post('adduser: bad rules', 'root', '/api/v1/auth/adduser', {'name': 'badrules', 'rules': [['x', []]]})
    yield post('adduser: email of another', 'root', '/api/v1/auth/adduser', {'name': 'dupmail', 'email': 'V@b.c'})
    yield post('onepass', 'root', '/api/v1/auth/onepass/issue', {'user': '{{visi}}'}, save={'onepass': 'result'})
    yield get('basic: one-time password', 'visi:{{onepass}}', '/api/v1/auth/user/{{visi}}')
    yield get('basic: one-time password again', 'visi:{{onepass}}', '/api/v1/auth/user/{{visi}}')
    yield post('onepass: duration', 'root', '/api/v1/auth/onepass/issue', {'user': '{{visi}}', 'duration': 5000}, save={'onepass2': 'result'})
    yield post('onepass: unknown user', 'root', '/api/v1/auth/onepass/issue', {'user': GHOST})
    yield post('onepass: no user', 'root', '/api/v1/auth/onepass/issue', {})
    yield post('onepass: duration is a text', 'root', '/api/v1/auth/onepass/issue', {'user': '{{visi}}', 'duration': 'long'})
    yield post('onepass: by who may not', 'visi', '/api/v1/auth/onepass/issue', {'user': '{{visi}}'})
    yield post('onepass: not JSON', 'root', '/api/v1/auth/onepass/issue', raw='nope')


class Recorder:

    def __init__(self, base):
        self.base = base
        self.names = {}
        self.cookies = {}
        self.ssl = ssl.create_default_context()
        self.ssl.check_hostname = False
        self.ssl.verify_mode = ssl.CERT_NONE

    def filled(self, text):
        for name, value in self.names.items():
            text = text.replace('{{%s}}' % name, value)
        return text

    def blanked(self, text):
        for name, value in self.names.items():
            text = text.replace(value, '{{%s}}' % name)
        return text

    def credentials(self, who):
        if who is None:
            return {}
        kind, _, rest = who.partition(':')
        if kind == 'sess':
            return {'Cookie': f'sess={self.cookies[rest]}'} if rest in self.cookies else {}
        if kind == 'key':
            return {'X-API-KEY': self.names['key']}
        passwd = rest or ('root' if kind == 'root' else 'secret')
        return {'Authorization': 'Basic ' + base64.b64encode(f'{kind}:{self.filled(passwd)}'.encode()).decode()}

    async def run(self, http, one):
        headers = {**self.credentials(one['as']), **one.get('headers', {})}
        if 'raw' in one:
            headers['Content-Type'] = 'application/json'
        data = self.filled(one['raw']) if 'raw' in one else None
        async with http.request(one['method'], self.base + self.filled(one['path']), headers=headers, data=data, ssl=self.ssl) as reply:
            text = await reply.text()
            cookie = reply.cookies.get('sess')
        if cookie is not None and one['as'] and one['as'].startswith('sess:'):
            self.cookies[one['as'][5:]] = cookie.value
        for name, path in one.get('save', {}).items():
            value = json.loads(text)
            for part in path.split('.'):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self.names[name] = value
        kept = {name: value for name, value in reply.headers.items() if name.lower() in KEPT}
        if cookie is not None:
            kept['set-cookie'] = '; '.join(sorted(key for key in ('httponly', 'secure') if cookie[key]) + [f"path={cookie['path']}", 'sess' if cookie.value else 'cleared'])
        return {**one, 'status': reply.status, 'kept': kept, 'answer': self.blanked(text)}


async def main():
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'root', 'https:port': None, 'health:sysctl:checks': False, 'dmon:listen': None}
        async with await s_cell.Cell.anit(dirn, conf=conf) as cell:
            host, port = await cell.addHttpsPort(0, host='127.0.0.1')
            recorder = Recorder(f'https://{host}:{port}')
            lines = []
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
                beheld = []
                auth = recorder.credentials('root')
                async with http.ws_connect(f'{recorder.base}/api/v1/behold', headers=auth, ssl=recorder.ssl) as sock:
                    await sock.send_str('{"type": "call:init"}')
                    beheld.append(await sock.receive_json())
                    for one in steps():
                        if one['as'] == 'key:visi' and 'key' not in recorder.names:
                            key, info = await cell.addUserApiKey(recorder.names['visi'], 'k1')
                            recorder.names['key'] = key
                        lines.append(await recorder.run(http, one))
                    while True:
                        try:
                            beheld.append(await sock.receive_json(timeout=0.5))
                        except asyncio.TimeoutError:
                            break
                for name, headers, sent in (
                        ('behold: nobody', {}, '{"type": "call:init"}'),
                        ('behold: not an admin', recorder.credentials('visi'), '{"type": "call:init"}'),
                        ('behold: wrong first message', auth, '{"type": "newp"}'),
                        ('behold: not JSON', auth, 'nope')):
                    async with http.ws_connect(f'{recorder.base}/api/v1/behold', headers=headers, ssl=recorder.ssl) as sock:
                        await sock.send_str(sent)
                        lines.append({'case': name, 'as': None, 'sent': sent, 'beheld': [await sock.receive_json()]})
            recorder.names['celliden'] = cell.iden
            lines.append({'case': 'behold', 'as': 'root', 'sent': '{"type": "call:init"}', 'beheld': json.loads(recorder.blanked(json.dumps(beheld)))})
            for one in lines:
                text = recorder.blanked(json.dumps(one))
                sys.stdout.write(text + '\n')


if __name__ == '__main__':
    asyncio.run(main())
