"""Makes synapse-certificates.json: one certificate of each kind, a request and a revocation list, as Synapse makes them.

    python test/vectors/make-certificates.py > test/vectors/synapse-certificates.json
"""
import json
import sys
import tempfile

import synapse.lib.certdir as s_certdir
import synapse.lib.version as s_version

with tempfile.TemporaryDirectory() as path:
    certs = s_certdir.CertDir(path=path)
    certs.genCaCert('demo.net')
    certs.genCaCert('inter.demo.net', signas='demo.net')
    certs.genHostCert('aha.demo.net', signas='demo.net', sans='DNS:zz.net,DNS:bb.net,URI:https://demo.net/,email:ops@demo.net')
    certs.genUserCert('visi@demo.net', signas='demo.net')
    certs.genCodeCert('The Signer', signas='demo.net')
    csr = certs.genHostCsr('00.axon.demo.net')
    crl = certs.genCaCrl('demo.net')
    crl.revoke(certs.getUserCert('visi@demo.net'))

    def read(name):
        with open(f'{path}/{name}') as fd:
            return fd.read()

    json.dump({
        'synapse': s_version.version,
        'ca': read('cas/demo.net.crt'),
        'intermediate': read('cas/inter.demo.net.crt'),
        'host': read('hosts/aha.demo.net.crt'),
        'user': read('users/visi@demo.net.crt'),
        'code': read('code/The Signer.crt'),
        'csr': csr.decode(),
        'crl': read('crls/demo.net.crl'),
    }, sys.stdout, indent=2)
    sys.stdout.write('\n')
