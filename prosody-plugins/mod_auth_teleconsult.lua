-- Let people in by their Jitsi token, as Jitsi's own token authentication does. For the local stack only: a Jitsi
-- installation has its own, and the other modules read from the session what either of them leaves there.
-- Load on: the VirtualHost, with authentication = "teleconsult".
-- Options: teleconsult_key_server (string), teleconsult_issuer (string), teleconsult_audience (string), and those of service.lib.

local cache = require "util.cache";
local encodings = require "util.encodings";
local formdecode = require "util.http".formdecode;
local hashes = require "util.hashes";
local http = require "net.http";
local openssl_digest = require "openssl.digest";
local openssl_pkey = require "openssl.pkey";
local time = require "util.time";
local uuid = require "util.uuid";
local async = require "util.async";

local json = module:require "teleconsult/json";
local keys = module:require "teleconsult/keys";
local service = module:require "teleconsult/service";
local shared = module:require "teleconsult/shared";
local token = module:require "teleconsult/token";

local KNOWN_KEYS = 64; -- at most, unknown ids included
local KEY_TIMEOUT = 5; -- seconds

local key_server = module:get_option_string("teleconsult_key_server");
if not key_server then error("teleconsult_key_server must be set", 0); end
local issuer = module:get_option_string("teleconsult_issuer", "teleconsult");
local audience = module:get_option_string("teleconsult_audience", "jitsi");
local resumption_tokens = module:shared("/*/smacks/resumption-tokens");

local codec = { base64_decode = encodings.base64.decode; json_decode = json.decode };

local function load_key(pem)
	local ok, key = pcall(openssl_pkey.new, pem);
	-- another kind of key would be used with another algorithm than the one we insist on
	if ok and key:type() == "rsaEncryption" then return key; end
	return nil;
end

local function get(url, done)
	local finished, request = false;
	local function finish(body, status)
		if finished then return; end
		finished = true;
		done(body, status);
	end
	request = http.request(url, {}, finish);
	service.timer(KEY_TIMEOUT, function ()
		if finished then return; end
		finish(nil, 0);
		if request and request.cancel then request:cancel("timeout"); end
	end);
end

local known_keys = keys.new({
	url = key_server:gsub("/+$", ""); get = get; load = load_key; now = time.monotonic;
	sha256_hex = function (text) return hashes.sha256(text, true); end;
	cache = cache.new(KNOWN_KEYS);
});

local function is_signed(parsed, key)
	if not parsed.signature then return false; end
	local ok, valid = pcall(function ()
		local digest = openssl_digest.new("sha256");
		digest:update(parsed.signed);
		return key:verify(parsed.signature, digest);
	end);
	return ok and valid == true;
end

-- The claims of a good token. Otherwise nil, a code, and the claims if at least the signature is ours.
local function verify(text)
	local parsed, code = token.parse(codec, text);
	if not parsed then return nil, code; end
	code = token.check_header(parsed.header);
	if code then return nil, code; end
	local key;
	key, code = service.wait_for(function (done) known_keys:find(parsed.header.kid, done); end);
	if not key then return nil, code; end
	if not is_signed(parsed, key) then return nil, "token-signature"; end
	code = token.check_claims(parsed.claims, {
		issuer = issuer; audience = audience; domain = module.host; now = os.time();
	});
	if code then return nil, code, parsed.claims; end
	return parsed.claims;
end

-- The fields Jitsi's token check leaves on a session.
local FIELDS = {
	"auth_token", "jitsi_meet_room", "jitsi_meet_domain", "jitsi_meet_auth_issuer", "jitsi_meet_str_tenant",
	"jitsi_meet_context_user", "jitsi_meet_context_group", "jitsi_meet_context_features", "jitsi_meet_context_room",
};

local once = shared.new();

local function describe(session, claims)
	local context = claims.context;
	session.jitsi_meet_room = claims.room;
	session.jitsi_meet_domain = claims.sub;
	session.jitsi_meet_auth_issuer = claims.iss;
	session.jitsi_meet_str_tenant = context.tenant;
	session.jitsi_meet_context_user = context.user;
	session.jitsi_meet_context_group = context.group;
	session.jitsi_meet_context_features = once(context.features);
	session.jitsi_meet_context_room = context.room;
end

local function subject_of(session)
	local user = session.jitsi_meet_context_user;
	return type(user) == "table" and user.id or nil;
end

-- Every connection is a new login. Stream management finds the old session by user name, so who resumes needs the old name;
-- but only for their own session: with the id alone anybody who overheard it could take the session over.
local function username_for(session, claims)
	local previd = session.previd;
	if previd then
		for _, old in pairs(resumption_tokens) do
			if old.resumption_token == previd and old.host == module.host and subject_of(old) == claims.context.user.id then
				session.teleconsult_resumes = true;
				return old.username;
			end
		end
	end
	-- the client takes the first eight hex digits as its nickname
	return uuid.generate();
end

local function report(code, claims)
	local room = claims and type(claims.room) == "string" and claims.room or "";
	local context = claims and type(claims.context) == "table" and claims.context;
	local user = context and type(context.user) == "table" and context.user;
	local id = user and type(user.id) == "string" and user.id or nil;
	service.tell_refused(room, nil, { participant_id = id }, code);
end

local function authenticate(session)
	if not async.ready() then return nil, "unavailable"; end
	local claims, code, known_claims = verify(session.auth_token);
	if session.destroyed then return nil, "unavailable"; end
	if not claims then
		session.log("info", "token refused: %s", code);
		report(code, known_claims);
		return nil, code;
	end
	describe(session, claims);
	prosody.events.fire_event("jitsi-authentication-token-verified", { session = session; claims = claims });
	return username_for(session, claims);
end

-- The stock ANONYMOUS mechanism asks again until it hears yes, so a refusal would hang the server; hence a handler of our own.
local Handler = {};
Handler.__index = Handler;

local function new_handler(session)
	return setmetatable({ session = session }, Handler);
end

function Handler:mechanisms() -- luacheck: ignore 212/self
	return { ANONYMOUS = true };
end

function Handler:select(mechanism)
	if mechanism ~= "ANONYMOUS" then return false; end
	self.selected = mechanism;
	return true;
end

function Handler:clean_clone()
	return new_handler(self.session);
end

function Handler:process()
	local username, code = authenticate(self.session);
	if not username then return "failure", "not-allowed", token.text(code); end
	self.username = username;
	return "success";
end

local function on_connection(event)
	local session, request = event.session, event.request;
	local query = request.url and request.url.query or request.query;
	local fields = query and formdecode(query) or {};
	if type(fields) ~= "table" then fields = {}; end
	session.auth_token = fields.token or (request.headers.authorization or ""):match("^[Bb]earer%s+(%S+)$");
	session.previd = fields.previd;
	session.jitsi_web_query_room = fields.room;
	session.jitsi_web_query_prefix = fields.prefix;
end

-- A resumed session goes on with the token its person came back with.
local function renew_token(session, from)
	if not from or not from.auth_token or subject_of(from) ~= subject_of(session) then return; end
	for _, field in ipairs(FIELDS) do
		session[field] = from[field];
	end
end

-- Prosody 13
module:hook_global("c2s-session-updated", function (event)
	if event.session.host == module.host then renew_token(event.session, event.from_session); end
end);

-- Prosody 0.12; in 13 the origin is an empty shell by now and nothing happens
module:hook("smacks-hibernation-end", function (event)
	renew_token(event.resumed, event.origin);
end);

-- Whoever got their old name to resume but then starts anew would share the address with their old session.
module:hook("resource-bind", function (event)
	local session = event.session;
	if not session.teleconsult_resumes then return; end
	local user = prosody.hosts[module.host].sessions[session.username];
	local others = {};
	for _, other in pairs(user and user.sessions or {}) do
		if other ~= session then others[#others + 1] = other; end
	end
	for _, other in ipairs(others) do
		other:close({ condition = "conflict", text = "Replaced by new connection" });
	end
end);

module:hook_global("websocket-session", on_connection);
module:hook_global("bosh-session", on_connection);

local NO_PASSWORDS = "There are no passwords here.";
local function unsupported() return nil, NO_PASSWORDS; end

module:provides("auth", {
	test_password = unsupported; get_password = unsupported; set_password = unsupported;
	user_exists = unsupported; create_user = unsupported;
	users = function () return next, prosody.hosts[module.host].sessions, nil; end;
	get_sasl_handler = new_handler;
});
