-- Teleconsult's part of the Prosody configuration, beside the file the Jitsi image writes itself.
--
-- The image includes the files of this folder in no particular order. So nothing here sets an option
-- that the image's conf.d/jitsi-meet.cfg.lua sets too: options of a host are added by opening that host
-- again, and the global ones replace only values of prosody.cfg.lua, which is read before this folder.
-- Modules are loaded through XMPP_MODULES and XMPP_MUC_MODULES in docker-compose.yml.

-- prosody.cfg.lua closes the component listener (component_ports = { }). Our gateway needs it; the
-- port is reachable in the internal network `xmpp` only.
component_ports = { 5347 }
component_interfaces = { "*" }

-- A whole table replaces the image's, so its backlog is repeated. Nagle's delay would hold back every
-- small stanza that follows another one by up to 40 ms.
network_settings = { tcp_backlog = 511, nagle = false }

teleconsult_api_url = "http://api:8080"
-- During a rotation the variable holds "new,old"; Prosody signs with the first.
teleconsult_api_secret = Lua.assert(ENV_ROOM_EVENTS_SECRET, "ROOM_EVENTS_SECRET is not set"):match("^[^,]+")
teleconsult_admission_when_down = ENV_TELECONSULT_ADMISSION_WHEN_DOWN or "closed"
teleconsult_gateway = "gateway.meet.jitsi"
teleconsult_lobby = "lobby.meet.jitsi"
teleconsult_hidden_domain = "hidden.meet.jitsi"
-- Jitsi's own component, whose messages clients and Jicofo believe.
teleconsult_av_moderation = "avmoderation.meet.jitsi"
teleconsult_file_sharing = "filesharing.meet.jitsi"

Component "muc.meet.jitsi" "muc"
    -- With domain verification on, Jitsi's own token check would turn the recorder away: it has a
    -- password on the hidden domain and no token.
    token_verification_allowlist = { "hidden.meet.jitsi" }

-- Where clients wait who are not admitted yet. ENABLE_LOBBY is 0, so the image makes no component of this name: its
-- muc_lobby_rooms lets any moderator's client decide alone.
Component "lobby.meet.jitsi" "muc"
    modules_enabled = { "teleconsult_lobby" }
    storage = "memory"
    restrict_room_creation = true
    muc_room_locking = false

-- Jitsi's list of shared files, as the service has it. The image loads neither mod_filesharing_component nor
-- mod_short_lived_token, whose places this takes.
Component "filesharing.meet.jitsi" "teleconsult_files"

Component "gateway.meet.jitsi"
    component_secret = Lua.assert(ENV_XMPP_COMPONENT_SECRET, "XMPP_COMPONENT_SECRET is not set")
    -- PostgreSQL's lock says which of several gateways is active. The connection of one whose machine
    -- vanished stays open for a quarter of an hour, and must not keep out the one that took over.
    component_conflict_resolve = "kick_old"
