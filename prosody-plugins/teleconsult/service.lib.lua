-- What our modules share: the options, the connection to the API and the state of this Prosody run.
-- Options: teleconsult_api_url (string), teleconsult_api_secret (string), teleconsult_api_timeout (s, default 5),
--   teleconsult_admission_when_down ("closed", or "token": let people in by their token alone while the API is down),
--   teleconsult_room_capacity (people in a room when only the token is asked, default 10)

local async = require "util.async";
local cache = require "util.cache";
local encodings = require "util.encodings";
local hashes = require "util.hashes";
local http = require "net.http";
local net_connect = require "net.connect".connect;
local new_parser = require "net.http.parser".new;
local new_resolver = require "net.resolvers.basic".new;
local jid = require "util.jid";
local time = require "util.time";
local uuid = require "util.uuid";

local api = module:require "teleconsult/api";
local attempts = module:require "teleconsult/attempts";
local door = module:require "teleconsult/door";
local events = module:require "teleconsult/events";
local json = module:require "teleconsult/json";
local occupancy = module:require "teleconsult/occupancy";
local person = module:require "teleconsult/person";
local questions = module:require "teleconsult/questions";
local signature = module:require "teleconsult/signature";
local token = module:require "teleconsult/token";
local wire = module:require "teleconsult/wire";

local ENDED_ROOMS = 1000; -- remembered at most
local KEPT_OUT = 10000; -- the same
-- Refused entries a minute that are told one by one: of one person, whose client tries again by itself, and of all strangers.
local ENTRIES_OF_ONE, ENTRIES_OF_ALL = 20, 100;

local function constant_time_equals(a, b)
	if hashes.equals then return hashes.equals(a, b); end
	return hashes.sha256(a) == hashes.sha256(b);
end

local function add_timer(seconds, callback)
	module:add_timer(seconds, function () callback(); end);
end

-- One table for the whole process, whichever host a module runs on.
local function shared_state()
	local state = module:shared("/*/teleconsult/state");
	if not state.source then
		state.source = uuid.generate();
		state.generation = 0; -- raised by every command that may change somebody's right to be in a room
		-- participant or link id -> true: not admitted, by the API's last word; what a token says does not count then
		state.kept_out = cache.new(KEPT_OUT);
		state.ended = cache.new(ENDED_ROOMS); -- room node -> true, until the API allows somebody in again
	end
	return state;
end

local function bounded_number(name, default, least, most)
	local value = module:get_option_number(name, default);
	if value < least or value > most then
		error(("%s must be between %g and %g"):format(name, least, most), 0);
	end
	return value;
end

-- Prosody's client for TLS, ours for the plain connection inside an installation.
local function requester(url)
	local target = wire.target(url);
	if not target then return http.request; end
	local client = wire.new(target, {
		new_parser = new_parser;
		connect = function (listener, data)
			net_connect(new_resolver(target.host, target.port, "tcp"), listener, {}, data);
		end;
	});
	return function (...) return client:request(...); end;
end

local function build_api()
	local url = module:get_option_string("teleconsult_api_url");
	local secret = module:get_option_string("teleconsult_api_secret");
	if not (url and secret) then
		error("teleconsult_api_url and teleconsult_api_secret must be set", 0);
	end
	local key = signature.key(secret, encodings.base64.decode);
	if not key then error("teleconsult_api_secret must be base64 of at least 16 bytes", 0); end
	return api.new({
		url = url:gsub("/+$", "");
		timeout = bounded_number("teleconsult_api_timeout", 5, 0.1, 60);
		signer = signature.new({
			key = key; hmac_sha256 = hashes.hmac_sha256;
			base64_encode = encodings.base64.encode; equals = constant_time_equals;
		});
		request = requester(url); timer = add_timer; now = os.time; uuid = uuid.generate;
		encode = json.encode; decode = json.decode;
	});
end

local function claims_of(text)
	local parsed = token.parse({ base64_decode = encodings.base64.decode; json_decode = json.decode }, text);
	return parsed and parsed.claims;
end

local function connection_of(full_jid)
	return events.connection(full_jid, function (text) return hashes.sha256(text, true); end);
end

local people = person.new({ claims_of = claims_of });

local service = {
	api = build_api();
	state = shared_state();
	timer = add_timer;
	connection_of = connection_of;
	person_of = people.of;
	remember_person = people.remember;
	is_health_check = person.is_health_check;
	is_system = person.system_check(
		module:get_option_inherited_set("admins", {}),
		module:get_option_string("teleconsult_hidden_domain")
	);
	is_recorder = person.recorder_check(module:get_option_string("teleconsult_hidden_domain"));
	shapes = events.new({ uuid = uuid.generate; now = time.now; next_seq = occupancy.next_seq });
};

local when_down = module:get_option_string("teleconsult_admission_when_down", "closed");
if when_down ~= "closed" and when_down ~= "token" then
	error("teleconsult_admission_when_down must be \"closed\" or \"token\"", 0);
end

-- Run start(done) and wait for done(...) without holding up anybody but this client. Only inside a client's own thread.
function service.wait_for(start)
	local wait, resume = async.waiter();
	local result;
	start(function (...)
		result = table.pack(...);
		resume();
	end);
	wait();
	return table.unpack(result, 1, result.n);
end

-- The room when a recorder is in it or may come in, whatever the service believes; else nil.
local function recorded_room(room_jid)
	local host = prosody.hosts[service.state.muc_host];
	local room = host and host.modules.muc and host.modules.muc.get_room_from_jid(room_jid);
	if not room then return nil; end
	if room.teleconsult and room.teleconsult.recording then return room; end
	for _, occupant in room:each_occupant() do
		if service.is_recorder(occupant.bare_jid) then return room; end
	end
	return nil;
end

-- Without teleconsult_control nobody is ever banned.
local function is_banned(who)
	local bans = service.state.bans;
	return bans ~= nil and bans:holds(who.participant_id);
end

-- Whether somebody may enter a room; see door.lib.
service.door = door.new({
	state = service.state;
	questions = questions.new({
		timer = add_timer;
		post = function (message, done)
			service.api.post("/internal/rooms/admission", message, function (answer, reason)
				local outbox = answer and service.state.outbox;
				if outbox then outbox:wake(); end
				done(answer, reason);
			end);
		end;
	});
	wait_for = service.wait_for; now = os.time; monotonic = time.monotonic; node_of = jid.node;
	log = function (level, ...) module:log(level, ...); end;
	recorded_room = recorded_room; is_banned = is_banned;
	when_down = when_down;
	capacity = bounded_number("teleconsult_room_capacity", 10, 1, 1000);
});

-- Where who is not admitted to a room waits; nil without a lobby.
function service.lobby_of(room_jid)
	local lobby = service.state.lobby;
	return lobby and jid.join(jid.node(room_jid), lobby.host);
end

service.state.attempts = service.state.attempts or {};
local tried = attempts.new({ entries = service.state.attempts; now = time.monotonic; timer = add_timer });

-- Report a refusal that the API did not decide itself (those it records on its own); a flood of the same is one entry.
-- node: "" when no room of ours was named. room, who, full_jid: nil when there is none.
function service.tell_refused(node, room, who, code, full_jid)
	local outbox = service.state.outbox;
	if not outbox or service.is_health_check(node) then return; end
	local participant_id = who and who.participant_id;
	-- without the room: its name is whatever the client wrote
	local key = table.concat({ participant_id or "", code, "entry" }, " ");
	tried:add(key, function (count)
		outbox:push_if_roomy(function ()
			local connection = full_jid and connection_of(full_jid);
			local event = service.shapes:refused(node, room and room.teleconsult, participant_id, code, connection);
			if count > 1 then event.count = count; end
			return event;
		end);
	end, participant_id and ENTRIES_OF_ONE or ENTRIES_OF_ALL);
end

return service;
