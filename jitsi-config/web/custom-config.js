// Appended to the config.js that the Jitsi web image writes. It holds for everybody; what a page
// overrides through the IFrame API can be changed by its user, so nothing here is left to that.

// The default asks a public server of Jitsi's. Addresses come from our Prosody instead
// (external_services: our coturn), so no third party learns who calls whom.
config.p2p = config.p2p || {};
config.p2p.stunServers = [];

// No avatar look-ups, analytics or calendar addresses outside the hospital.
config.disableThirdPartyRequests = true;
config.gravatar = { disabled: true };
config.doNotStoreRoom = true;

// People come in by personal links only.
config.disableInviteFunctions = true;

// Everybody sees the question before being recorded. The rule itself is enforced on the server.
config.recordings = Object.assign(config.recordings || {}, { requireConsent: true, showPrejoinWarning: true });

// Files go to the service, through this same server (nginx-custom/teleconsult.conf). The app on phones reads this file
// without a page, and shares no files. What is larger than this is shared from the personal page.
if (typeof window !== 'undefined' && window.location) {
    config.fileSharing = {
        enabled: true,
        apiUrl: `${window.location.origin}/jitsi/documents`,
        maxFileSize: 50 * 1024 * 1024
    };
}
