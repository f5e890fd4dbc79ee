import { createMachine } from "xstate";

export default createMachine({
  id: "syntax",
  states: { cart: { on: { add: { actions: assign( { 
  },
});
