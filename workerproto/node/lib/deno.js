/**
 * What Deno needs of the preload beside what Node does.
 */

'use strict';

/**
 * Deno runs what is to be loaded first until nothing is left to wait for, and
 * only then the application: the channel must not be waited for until that has
 * been run.
 */
function install() {
  process.channel?.unref?.();
  process.once('beforeExit', () => process.channel?.ref?.());
}

exports.install = install;
