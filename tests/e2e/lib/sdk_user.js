// A program as users write them, with nothing of these tests in it: Microsoft's SDKs against a hub at port
// 443 whose certificate NODE_EXTRA_CA_CERTS names. Its argument is the connection string of the policy
// iothubowner. Prints what it saw, as JSON.

import device from 'azure-iot-device';
import transport from 'azure-iot-device-mqtt';
import service from 'azure-iothub';

const [owner] = process.argv.slice(2);
const registry = service.Registry.fromConnectionString(owner);
const deviceId = 'gateway-01';
const moduleId = 'boiler-9';
const saw = {};

await registry.create({ deviceId });
const { responseBody: module } = await registry.addModule({ deviceId, moduleId });
const client = device.ModuleClient.fromConnectionString(`${owner.split(';')[0]};DeviceId=${deviceId};` +
  `ModuleId=${moduleId};SharedAccessKey=${module.authentication.symmetricKey.primaryKey}`, transport.MqttWs);
await client.open();
const twin = await client.getTwin();
saw.twin = JSON.parse(JSON.stringify(twin.properties));

await new Promise((resolve, reject) => {
  twin.properties.reported.update({ temperature: 61.4 }, (error) => (error ? reject(error) : resolve()));
});
const patched = new Promise((resolve) => twin.on('properties.desired', (patch) => patch.rate && resolve(patch)));
const called = new Promise((resolve) => client.onMethod('reboot', (request, response) => {
  response.send(200, { was: request.payload });
  resolve();
}));
saw.method = (await service.Client.fromConnectionString(owner).invokeDeviceMethod(deviceId, moduleId,
  { methodName: 'reboot', payload: 'now', connectTimeoutInSeconds: 20 })).result;
await called;
// The listener was there before that of the method, and subscriptions are answered in order.
const { responseBody: updated } = await registry.updateModuleTwin(deviceId, moduleId,
  { properties: { desired: { rate: 5 } } }, '*');
saw.patch = JSON.parse(JSON.stringify(await patched));
saw.reported = updated.properties.reported.temperature;
await client.sendEvent(new device.Message('hello'));
await client.close();
console.log(JSON.stringify(saw));
