// A timer whose guard throws until the context is mended.
import { assign, createMachine } from "xstate";

export default createMachine({
  id: "alarm",
  context: { public: {} },
  initial: "armed",
  states: {
    armed: {
      after: { 1000: { guard: ({ context }) => (context as any).bell.loud, target: "ringing" } },
      on: { mend: { actions: assign({ bell: { loud: true } } as any) } },
    },
    ringing: {},
  },
});
export const allowRead = () => true;
export const allowWrite = () => true;
