/* A network that learns. The contract of a part of the page:

   create(root, play) is called once, with the empty <section> of the part, and returns
     start(state, resumed)  the page is connected, or its address has changed; resumed: to a session
                     that it had before, which may be as it was left: send what makes
                     the session what the page shows; `state` is an object of strings, from the
                     address or as last remembered; {} at first
     lost()          optional: the connection is lost, and what was under way with it
     receive(reply)  a reply {part, kind, ...} to this part; kinds "error", "code" and "frozen" are
                     shown by the page itself
     state()         what start() needs to get here again, an object of strings or numbers

   play.send(what, fields)   send {part, do: what, ...fields}; while there is no connection, it is
                             dropped: start() is called again
   play.remember()           state() has changed: it is put into the address
   play.freeze               a function () -> fields of "freeze", or null: what "Step through" sends
*/

export function create(root, play) {
  return {
    start(state) {},
    receive(reply) {},
    state: () => ({}),
  };
}
