// The package for those who import it.

import stickyd from './index.js';

export const { attach, bind, unbind, worker } = stickyd;
export default stickyd;
