import { createMachine } from "npm:xstate@5";

export default createMachine({ initial: "a", states: { a: {} } });
export const allowRead = () => true;
