-- The shapes of what we tell the API. Ids only: no name, no address, no token. Pure.
-- `seq` counts the events of one life of a room, which `room_instance` names: for whoever reads logs and looks for what was
-- lost. The API does not need them, since one batch is on the wire at a time and ids tell repeats.

local events = {};

-- An opaque word for one connection, the same in every event about it.
function events.connection(full_jid, sha256_hex)
	return sha256_hex(full_jid):sub(1, 16);
end

-- Milliseconds are enough, and they survive JSON writers that keep 14 digits.
local function time_of(now)
	return math.floor(now * 1000 + 0.5) / 1000;
end

local Shapes = {};
Shapes.__index = Shapes;

-- deps: uuid(), now() (unix s), next_seq(state)
function events.new(deps)
	return setmetatable({ deps = deps }, Shapes);
end

local function base(self, kind, node, state)
	return {
		id = self.deps.uuid();
		type = kind;
		seq = state and self.deps.next_seq(state) or 0;
		room = node;
		room_instance = state and state.instance or nil;
		at = time_of(self.deps.now());
	};
end

local function about(self, kind, node, state, record)
	local event = base(self, kind, node, state);
	event.participant_id = record.participant_id;
	event.occupant = record.nick:match("/(.*)$");
	event.connection = record.connection;
	return event;
end

function Shapes:server_started()
	local event = base(self, "server.started");
	event.seq = nil;
	return event;
end

function Shapes:room(kind, node, state)
	return base(self, "room." .. kind, node, state);
end

function Shapes:joined(node, state, record)
	return about(self, "participant.joined", node, state, record);
end

function Shapes:left(node, state, record, reason)
	local event = about(self, "participant.left", node, state, record);
	event.reason = reason;
	return event;
end

-- Somebody who waited in the lobby does not any more, for whatever reason.
function Shapes:lobby_left(node, record)
	return about(self, "lobby.left", node, nil, record);
end

-- state is nil when the room does not exist; participant_id is "" when nobody proved to be one.
function Shapes:refused(node, state, participant_id, code, connection)
	local event = base(self, "participant.refused", node, state);
	event.participant_id = participant_id or "";
	event.connection = connection;
	event.code = code;
	return event;
end

-- What a moderator's client did to somebody, or to all. by: their participant id; fields: participant_id, media, on, …
function Shapes:deed(kind, node, state, by, fields)
	local event = base(self, kind, node, state);
	event.by = by;
	for name, value in pairs(fields) do event[name] = value; end
	return event;
end

return events;
