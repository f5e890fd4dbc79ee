import { createMachine } from "xstate";

export default createMachine({});
export const allowRead = () => true;
export const allowWrite = () => true;
