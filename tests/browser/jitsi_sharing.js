// Jitsi's client shares files by its library's connection and by HTTP; this library is older than that, so the steps are here.
// Source: jitsi-meet, react/features/file-sharing/middleware.web.ts; lib-jitsi-meet, modules/xmpp/ChatRoom.ts.
(() => {
  const heard = [];
  const mine = { heard };
  window.jitsiFiles = mine;
  let library;
  Object.defineProperty(window, 'JitsiMeetJS', {
    configurable: true,
    get: () => library,
    set: (given) => {
      library = given;
      const Real = given.JitsiConnection;
      given.JitsiConnection = class extends Real {
        initJitsiConference(...options) {
          mine.connection = this;
          mine.conference = super.initJitsiConference(...options);
          this.xmpp.connection.addHandler(hear, null, 'message', null, null, null);
          return mine.conference;
        }
      };
    },
  });

  function hear(message) {
    const text = message.querySelector('json-message')?.textContent;
    const told = text && message.getAttribute('from').startsWith('filesharing.') ? JSON.parse(text) : null;
    if (told) {
      heard.push([told.event, told.file?.fileName ?? told.fileId]);
    }
    return true;
  }

  const stanza = (xml) => new DOMParser().parseFromString(xml, 'text/xml').documentElement;
  const server = () => mine.connection.xmpp.connection;
  const domain = () => mine.connection.xmpp.options.hosts.domain;

  function pass() {
    const xml = `<iq xmlns="jabber:client" type="get" id="${crypto.randomUUID()}" to="${domain()}">`
      + '<credentials xmlns="urn:xmpp:extdisco:2"><service host="file-sharing" type="short-lived-token"/></credentials></iq>';
    return new Promise((done, failed) => {
      server().sendIQ(stanza(xml), (answer) => done(answer.querySelector('service').getAttribute('password')), failed, 10000);
    });
  }

  const address = () => `/jitsi/documents/sessions/${mine.conference.getMeetingUniqueId()}/files`;

  mine.share = async (bytes, name) => {
    const metadata = JSON.stringify({ fileId: crypto.randomUUID(), fileName: name, fileSize: bytes.length });
    const form = new FormData();
    form.append('metadata', metadata);
    form.append('file', new Blob([new Uint8Array(bytes)]), name);
    const headers = { Authorization: `Bearer ${await pass()}` };
    const answer = await fetch(address(), { method: 'POST', headers, body: form });
    if (answer.ok) {
      const xml = `<message xmlns="jabber:client" to="filesharing.${domain()}">`
        + `<file-sharing xmlns="http://jitsi.org/jitmeet" type="add">${metadata}</file-sharing></message>`;
      server().send(stanza(xml));
    }
    return { status: answer.status, id: (await answer.json()).fileId };
  };

  mine.fetch = async (id) => {
    const headers = { Authorization: `Bearer ${await pass()}` };
    const { presignedUrl } = await (await fetch(`${address()}/${id}`, { headers })).json();
    return (await (await fetch(presignedUrl)).blob()).size;
  };
})();
