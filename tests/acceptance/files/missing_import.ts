import { createMachine } from "xstate";
import { chunk } from "lodash-that-is-not-installed";

export default createMachine({ context: { chunks: chunk([1, 2], 1) } });
export const allowRead = () => true;
export const allowWrite = () => true;
