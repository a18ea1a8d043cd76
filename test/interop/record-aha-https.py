"""Records what a real AHA answers over HTTPS: PYTHON test/interop/record-aha-https.py > test/vectors/aha-https.jsonl

As record-https.py, whose requests are for any cell. What differs from run to run stands as {{name}}.
"""
import asyncio
import importlib.util
import json
import pathlib
import re
import sys
import tempfile

import aiohttp
import synapse.lib.aha as s_aha
import synapse.telepath as s_telepath

spec = importlib.util.spec_from_file_location('record_https', pathlib.Path(__file__).with_name('record-https.py'))
record_https = importlib.util.module_from_spec(spec)
spec.loader.exec_module(record_https)

NET = 'demo.net'
SERVICES = '/api/v1/aha/services'
PROVISION = '/api/v1/aha/provision/service'
INFO = {'run': 'r0', 'iden': 'i0', 'leader': 'axon', 'ready': True, 'promotable': True,
        'urlinfo': {'scheme': 'ssl', 'host': '10.0.0.7', 'port': 34243, 'path': '', 'hostname': f'00.axon.{NET}', 'ca': NET}}


def steps():
    step = record_https.step
    get = lambda name, who, **more: step(f'services: {name}', who, 'GET', SERVICES, **more)
    post = lambda name, who, body=None, **more: step(f'provision: {name}', who, 'POST', PROVISION, body, **more)
    yield get('nobody', None)
    yield get('wrong password', 'root:wrong')
    yield get('not an admin', 'visi')
    yield get('all', 'root')
    yield get('of a network', 'root', body={'network': NET})
    yield get('of another network', 'root', body={'network': 'newp'})
    yield get('empty body', 'root', body={})
    yield get('empty network', 'root', body={'network': ''})
    yield get('network is null', 'root', body={'network': None})
    yield get('network is a number', 'root', body={'network': 1})
    yield get('something else', 'root', body={'newp': 1})
    yield get('not JSON', 'root', raw='nope')
    yield step('services: by POST', 'root', 'POST', SERVICES, {})
    yield post('nobody', None, {'name': '00.axon'})
    yield post('not an admin', 'visi', {'name': '00.axon'})
    yield post('name', 'root', {'name': '00.axon'})
    yield post('everything', 'root', {'name': '07.foo', 'provinfo': {'conf': {'limit:disk:free': 3}, 'dmon:port': 1, 'https:port': 2, 'mirror': 'foo'}})
    yield post('empty provinfo', 'root', {'name': '08.foo', 'provinfo': {}})
    yield post('unknown member of provinfo', 'root', {'name': '09.foo', 'provinfo': {'newp': 1}})
    yield post('no name', 'root', {})
    yield post('no body', 'root')
    yield post('not JSON', 'root', raw='nope')
    yield post('empty name', 'root', {'name': ''})
    yield post('name is a number', 'root', {'name': 1})
    yield post('name is too long', 'root', {'name': 'x' * 70})
    yield post('provinfo is null', 'root', {'name': '00.axon', 'provinfo': None})
    yield post('port is too large', 'root', {'name': '00.axon', 'provinfo': {'dmon:port': 70000}})
    yield post('port is a text', 'root', {'name': '00.axon', 'provinfo': {'https:port': '1'}})
    yield post('conf is a list', 'root', {'name': '00.axon', 'provinfo': {'conf': []}})
    yield post('mirror is empty', 'root', {'name': '00.axon', 'provinfo': {'mirror': ''}})
    yield post('something else', 'root', {'name': '00.axon', 'newp': 1})


def masked(text):
    text = re.sub(r'"online":"[0-9a-f]{32}"', '"online":"{{online}}"', text)
    return re.sub(r'ssl://aha\.demo\.net:\d+/[0-9a-f]{32}\?certhash=[0-9a-f]{64}', '{{url}}', text)


async def main():
    with tempfile.TemporaryDirectory() as dirn:
        conf = {'auth:passwd': 'root', 'https:port': None, 'health:sysctl:checks': False, 'dmon:listen': 'tcp://127.0.0.1:0',
                'provision:listen': 'ssl://127.0.0.1:0?hostname=aha.demo.net', 'aha:network': NET, 'dns:name': f'aha.{NET}'}
        async with await s_aha.AhaCell.anit(dirn, conf=conf) as aha:
            await aha.auth.addUser('visi', passwd='secret')
            host, port = await aha.addHttpsPort(0, host='127.0.0.1')
            recorder = record_https.Recorder(f'https://{host}:{port}')
            async with await s_telepath.openurl(f'tcp://root:root@127.0.0.1:{aha.sockaddr[1]}') as service:
                await service.addAhaSvc('00.axon', INFO, network=NET)
                await service.addAhaSvc('axon', INFO, network=NET)
                async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
                    for one in steps():
                        row = await recorder.run(http, one)
                        row['answer'] = masked(row['answer'])
                        row['answer'] = re.sub(re.escape(aha.auth.rootuser.iden), '{{root}}', row['answer'])
                        row['answer'] = re.sub((await aha.auth.getUserByName('visi')).iden, '{{visi}}', row['answer'])
                        sys.stdout.write(json.dumps(row) + '\n')


if __name__ == '__main__':
    asyncio.run(main())
