// All that a test of whole programs needs.

export { Program, binaries, cleanup, environment, folder, repository, run } from './program.js';
export { bridge } from './bridge.js';
export { certificate, datedCertificate } from './certificate.js';
export { devices, pymodbus } from './devices.js';
export { hub, parts, token } from './hub.js';
export { fakeHub, frame } from './fake_hub.js';
export { fakeHttps } from './fake_https.js';
export { modbusClient } from './modbus_client.js';
export { boilers, plant } from './plant.js';
export { connectProxy, scripted } from './scripted.js';
export { stays, until } from './until.js';
export { tlsFront } from './tls_front.js';
