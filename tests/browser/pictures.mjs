// Takes the pictures in the README: pictures.mjs DIRECTORY

import { startChromium, startServer } from "./common.mjs";

const { server, port } = await startServer(process.env.DEMO);
for (const colorScheme of ["light", "dark"]) {
  const context = await startChromium({ viewport: { width: 1160, height: 900 }, colorScheme, deviceScaleFactor: 1.5 });
  const page = context.pages()[0];
  await page.goto(`http://127.0.0.1:${port}/`);
  await page.waitForSelector("#log [data-end=browser][data-event=message]");
  const frames = await page.locator(".frames").boundingBox();
  const height = Math.ceil(frames.y + frames.height + 24);
  await page.screenshot({ path: `${process.argv[2]}/demo-${colorScheme}.png`, clip: { x: 0, y: 0, width: 1160, height }, fullPage: true });
  await context.close();
}
server.kill();
