"""What Synapse makes of a certificate directory; one command per run, the answer as JSON.

load DIR                            every certificate, key, request and list in it, read by Synapse
check-code DIR NAME                 whether a code certificate is valid there
connect DIR PORT HOST [USER]        a TLS connection as a client of Telepath makes it: the name of the peer, and what it sends
open-p12 FILE PASSPHRASE-FILE       names in a PKCS#12 file
"""
import json
import os
import socket
import ssl
import sys

import cryptography.hazmat.primitives.serialization.pkcs12 as pkcs12
import cryptography.x509 as x509
import synapse.exc as s_exc
import synapse.lib.certdir as s_certdir


def name_of(cert):
    return cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def load(path):
    certs = s_certdir.CertDir(path=path)
    found = {}
    for folder, get_cert, get_key in (
        ('cas', certs.getCaCert, certs.getCaKey),
        ('hosts', certs.getHostCert, certs.getHostKey),
        ('users', certs.getUserCert, certs.getUserKey),
        ('code', certs.getCodeCert, certs.getCodeKey),
    ):
        names = sorted(n[:-4] for n in os.listdir(f'{path}/{folder}') if n.endswith('.crt'))
        found[folder] = {name: [name_of(get_cert(name)), get_key(name) is not None] for name in names}
    found['crls'] = [len(list(crl)) for crl in certs._getCaCrls()]
    return found


def check_code(path, name):
    certs = s_certdir.CertDir(path=path)
    with open(f'{path}/code/{name}.crt', 'rb') as fd:
        try:
            certs.valCodeCert(fd.read())
        except s_exc.SynErr as e:
            return {'errname': e.errname, 'mesg': e.get('mesg')}
    return {'errname': None}


def connect(path, port, host, user=None):
    context = s_certdir.CertDir(path=path).getClientSSLContext(certname=user)
    context.check_hostname = False
    try:
        with socket.create_connection(('127.0.0.1', int(port)), timeout=20) as plain:
            with context.wrap_socket(plain, server_hostname=host) as link:
                peer = dict(item[0] for item in link.getpeercert()['subject'])
                return {'peer': peer['commonName'], 'got': link.recv(100).decode()}
    except (ssl.SSLError, OSError) as e:
        return {'error': type(e).__name__, 'mesg': str(e)}


def open_p12(path, passphrase_path):
    with open(path, 'rb') as fd, open(passphrase_path, 'rb') as passphrase:
        found = pkcs12.load_pkcs12(fd.read(), passphrase.read().rstrip(b'\n'))
    return {
        'name': name_of(found.cert.certificate),
        'friendly': found.cert.friendly_name.decode(),
        'fits': found.key.public_key() == found.cert.certificate.public_key(),
        'above': [name_of(one.certificate) for one in found.additional_certs],
    }


COMMANDS = {'load': load, 'check-code': check_code, 'connect': connect, 'open-p12': open_p12}
print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
