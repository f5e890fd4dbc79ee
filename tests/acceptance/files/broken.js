import { createMachine } from "npm:xstate@5";

const secret = globalThis.process.env.SECRET;
if (secret === undefined) throw new Error("no secret in the environment");

export default createMachine({});
export const allowRead = () => true;
export const allowWrite = () => true;
