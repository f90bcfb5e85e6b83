// The whole product as deployed, on real control planes and a real Argo CD: one fleet, on which the scenes follow each other.

import { suite } from 'uvu';
import { closeScene, openScene, type Scene, untilQuiet } from './scene.ts';
import { deploying } from './scenes/deploying.ts';
import { disturbing } from './scenes/disturbing.ts';
import { recovering } from './scenes/recovering.ts';
import { settingUp } from './scenes/settingup.ts';

const product = suite<Scene>('product');
let failed = false;

product.before(async (scene) => {
  try {
    await openScene(scene);
  } catch (error) {
    // The runner is silent about what fails here.
    failed = true;
    console.error(error);
    throw error;
  }
});
product.after(async (scene) => {
  await closeScene(scene, failed || process.env.E2E_KEEP !== undefined);
});

/** A test that fails leaves the logs. */
const watched: typeof product = Object.assign(
  (name: string, test: (scene: Scene) => unknown) =>
    product(name, async (scene) => {
      const startedAt = performance.now();
      try {
        // What the scene before leaves behind is still on its way out.
        await untilQuiet(scene);
        await test(scene);
      } catch (error) {
        failed = true;
        console.error(error);
        throw error;
      } finally {
        console.log(`  ${((performance.now() - startedAt) / 1000).toFixed(1)} s  ${name}`);
      }
    }),
  product,
);

settingUp(watched);
deploying(watched);
disturbing(watched);
recovering(watched);

product.run();
