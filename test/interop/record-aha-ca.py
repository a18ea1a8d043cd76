"""
Writes test/vectors/aha-ca.jsonl: what a real AHA answers to those who ask for its authority, and for certificates.

    .cache/peers/synapse-2.256.0/bin/python test/interop/record-aha-ca.py > test/vectors/aha-ca.jsonl

One row per call: who asks, method, arguments and the answer. A certificate in an answer stands as what it says.
Requests are new in each recording, with their names beside them.
"""

import asyncio
import json
import tempfile

import synapse
import synapse.exc as s_exc
import synapse.lib.aha as s_aha
import synapse.telepath as s_telepath
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

NOISE = ('efile', 'eline', 'esrc', 'ename')
NET = 'demo.net'


STEPS = []
NAMES = {}


def request(*names, key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    text = csr.public_bytes(serialization.Encoding.PEM).decode()
    NAMES[text] = ' and '.join(names) or 'no name'
    return text


def step(who, meth, *args, **kwargs):
    STEPS.append((who, meth, list(args), kwargs))


for who in ('root', 'nobody', 'ca', 'csr'):
    step(who, 'getCaCert', NET)
    step(who, 'getCaCert', 'newp')
    step(who, 'genCaCert', NET)
step('root', 'getCaCert', '')
step('root', 'getCaCert', None)
step('root', 'getCaCert', 12)
step('root', 'getCaCert', '../cas/' + NET)
step('root', 'genCaCert', 'other.net')
step('root', 'getCaCert', 'other.net')
step('root', 'genCaCert', 'other.net')
step('gen', 'genCaCert', 'third.net')
for who in ('nobody', 'ca', 'csr', 'root'):
    step(who, 'signHostCsr', request('00.axon.demo.net'))
    step(who, 'signUserCsr', request('visi@demo.net'))
step('root', 'signHostCsr', request('00.axon.demo.net', key=rsa.generate_private_key(65537, 2048)))
step('root', 'signHostCsr', request('00.axon.demo.net'), NET)
step('root', 'signHostCsr', request('00.axon.demo.net'), signas=NET, sans='DNS:axon.demo.net,email:ops@demo.net')
step('root', 'signHostCsr', request('00.axon.demo.net'), sans='axon.demo.net')
step('root', 'signHostCsr', request('00.axon.demo.net'), sans='newp:x')
step('root', 'signHostCsr', request('00.axon.other.net'), 'other.net')
step('root', 'signHostCsr', request('axon.other.net'))
step('root', 'signHostCsr', request('00.axon.demo.net'), 'newp.net')
step('root', 'signHostCsr', request('axon.newp.net'))
step('root', 'signHostCsr', request('www.example.com'), NET)
step('root', 'signHostCsr', request('axon'))
step('root', 'signHostCsr', request('axon'), NET)
step('root', 'signHostCsr', request('demo.net'), NET)
step('root', 'signHostCsr', request('a b.demo.net'))
step('root', 'signHostCsr', request('visi@demo.net'), NET)
step('root', 'signHostCsr', request('*.demo.net'))
step('root', 'signHostCsr', request())
step('root', 'signHostCsr', request('00.axon.demo.net', '01.axon.demo.net'))
step('root', 'signHostCsr', 'nonsense')
step('root', 'signHostCsr', '')
step('root', 'signHostCsr', None)
step('root', 'signHostCsr', request('aha.demo.net'))
step('root', 'signUserCsr', request('visi@demo.net'), NET)
step('root', 'signUserCsr', request('visi@other.net'))
step('root', 'signUserCsr', request('visi@other.net'), NET)
step('root', 'signUserCsr', request('visi@newp.net'))
step('root', 'signUserCsr', request('visi'))
step('root', 'signUserCsr', request('visi'), NET)
step('root', 'signUserCsr', request('vi/si@demo.net'))
step('root', 'signUserCsr', request('root@demo.net'))
step('root', 'signUserCsr', 'nonsense')


def facts(text):
    cert = x509.load_pem_x509_certificate(text.encode())
    name = lambda one: ','.join(attr.value for attr in one)
    seconds = int((cert.not_valid_after_utc - cert.not_valid_before_utc).total_seconds())
    try:
        sans = [one.value for one in cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value]
    except x509.ExtensionNotFound:
        sans = []
    return {'certificate': {'subject': name(cert.subject), 'issuer': name(cert.issuer), 'seconds': seconds, 'names': sans}}


def shown(valu):
    return facts(valu) if isinstance(valu, str) and valu.startswith('-----BEGIN CERTIFICATE') else valu


async def ask(proxy, meth, args, kwargs):
    try:
        return [True, shown(await proxy.task((meth, tuple(args), kwargs)))]
    except s_exc.SynErr as e:
        info = {key: item for key, item in e.errinfo.items() if key not in NOISE}
        name = info.pop('errx', None) or e.__class__.__name__
        return [False, [name, info]]


async def main():
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'secret', 'https:port': None, 'dmon:listen': 'tcp://127.0.0.1:0', 'provision:listen': 'tcp://127.0.0.1:0',
                'aha:network': NET, 'dns:name': f'aha.{NET}', 'health:sysctl:checks': False}
        async with await s_aha.AhaCell.anit(dirn, conf=conf) as aha:
            rules = {'nobody': [], 'ca': [('aha', 'ca', 'get')], 'gen': [('aha', 'ca')], 'csr': [('aha', 'csr')]}
            for name, allows in rules.items():
                user = await aha.auth.addUser(name, passwd='secret')
                for allow in allows:
                    await user.addRule((True, allow))
            port = aha.sockaddr[1]
            proxies = {who: await s_telepath.openurl(f'tcp://{who}:secret@127.0.0.1:{port}') for who in ('root', *rules)}
            print(json.dumps({'about': f'synapse {synapse.verstring}, AHA of {NET}; made by test/interop/record-aha-ca.py'}))
            for who, meth, args, kwargs in STEPS:
                retn = json.loads(json.dumps(await ask(proxies[who], meth, args, kwargs)).replace(dirn, '$dir'))
                if not retn[0] and 'user' in retn[1][1]:
                    retn[1][1]['user'] = '$user'
                of = [NAMES.get(arg, arg) for arg in args]
                print(json.dumps({'as': who, 'meth': meth, 'of': of, 'args': args, 'kwargs': kwargs, 'retn': retn}))
            for proxy in proxies.values():
                await proxy.fini()


if __name__ == '__main__':
    asyncio.run(main())
