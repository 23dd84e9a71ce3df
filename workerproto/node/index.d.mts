import stickyd from './index.js';

export import attach = stickyd.attach;
export import bind = stickyd.bind;
export import unbind = stickyd.unbind;
export import worker = stickyd.worker;
export import AttachOptions = stickyd.AttachOptions;
export import DrainNotice = stickyd.DrainNotice;
export import SocketIOServer = stickyd.SocketIOServer;
export import Worker = stickyd.Worker;
export default stickyd;
