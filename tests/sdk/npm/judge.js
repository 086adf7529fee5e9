// An unmodified npm nacos behind the judge protocol (tests/sdk/README.md).
'use strict';

const readline = require('readline');
const { NacosConfigClient, NacosNamingClient } = require('nacos');

// Whatever a library prints belongs on stderr: stdout carries the protocol alone.
const say = message => process.stdout.write(JSON.stringify(message) + '\n');
const silent = () => {};
const logger = { info: silent, warn: silent, debug: silent, error: console.error };
console.log = console.error;

let naming;
let config;
const listeners = new Map();

class Unsupported extends Error {}

const host = instance => ({
  ip: instance.ip,
  port: instance.port,
  cluster: instance.clusterName,
  healthy: instance.healthy,
  weight: instance.weight,
  metadata: instance.metadata || {},
});

const instance = request => ({
  ip: request.ip,
  port: request.port,
  clusterName: request.cluster || 'DEFAULT',
  metadata: request.metadata || {},
});

const operations = {
  async connect(request) {
    const { server, username, password } = request;
    const who = username ? { username, password } : {};
    naming = new NacosNamingClient({ logger, serverList: server, namespace: 'public', ...who });
    naming.on('error', error => console.error(error));
    await naming.ready();
  },
  async register(request) {
    await naming.registerInstance(request.service, instance(request), request.group);
  },
  async deregister(request) {
    await naming.deregisterInstance(request.service, instance(request), request.group);
  },
  async subscribe({ service, group }) {
    const listener = hosts => say({ event: 'push', service, hosts: hosts.map(host) });
    listeners.set(`${group}@@${service}`, listener);
    naming.subscribe({ serviceName: service, groupName: group }, listener);
  },
  async unsubscribe({ service, group }) {
    const listener = listeners.get(`${group}@@${service}`);
    naming.unSubscribe({ serviceName: service, groupName: group }, listener);
  },
  async query({ service, group }) {
    return (await naming.getAllInstances(service, group, '', false)).map(host);
  },
  async select({ service, group }) {
    return (await naming.selectInstances(service, group, '', true, false)).map(host);
  },
  async status() {
    return { up: (await naming.getServerStatus()) === 'UP' };
  },
  async connect_config(request) {
    config = new NacosConfigClient({ serverAddr: request.server, namespace: request.namespace || '' });
    config.on('error', error => console.error(error));
    await config.ready();
  },
  async publish({ data_id, group, content, cas_md5, beta_ips }) {
    if (cas_md5 || beta_ips) throw new Unsupported();
    return await config.publishSingle(data_id, group, content);
  },
  async get({ data_id, group }) {
    return await config.getConfig(data_id, group);
  },
  async remove({ data_id, group }) {
    return await config.remove(data_id, group);
  },
  async listen({ data_id, group }) {
    config.subscribe({ dataId: data_id, group }, content => say({ event: 'config', data_id, content }));
  },
  async close() {
    await naming.close();
  },
};

async function serve(line) {
  const request = JSON.parse(line);
  const operation = operations[request.op];
  if (!operation) {
    say({ id: request.id, ok: false, error: 'unsupported' });
    return;
  }
  try {
    const result = await operation(request);
    say({ id: request.id, ok: true, result: result === undefined ? null : result });
  } catch (failure) {
    const error = failure instanceof Unsupported ? 'unsupported' : String(failure);
    say({ id: request.id, ok: false, error });
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    await serve(line);
  }
  // The test is gone. Its instances must leave as in a crash.
  process.exit(0);
}

main();
