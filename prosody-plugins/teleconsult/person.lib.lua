-- Who is behind a session: only what the token check (ours or Jitsi's) has proved.
-- Jitsi keeps most claims on the session, but neither `jti` nor ours. Its check shows all claims once, in an event; where
-- that was missed they are read from the token. A session's auth_token alone proves nothing: on a guest host it is whatever
-- the client wrote in its URL. Only the fields jitsi_meet_context_user and jitsi_meet_room are set by a successful check, and
-- the claims must agree with both. Pure.

local person = {};

local function text(value)
	return type(value) == "string" and value or nil;
end

local function table_or_empty(value)
	return type(value) == "table" and value or {};
end

local function from_claims(claims)
	local context = table_or_empty(claims.context);
	local user = table_or_empty(context.user);
	local ours = table_or_empty(claims.teleconsult);
	return {
		participant_id = text(user.id);
		token_id = text(claims.jti);
		token_room = text(claims.room);
		link_id = text(ours.link) or "";
		affiliation = text(user.affiliation);
		may_chat = table_or_empty(context.features)["send-groupchat"] == true;
		expires = type(claims.exp) == "number" and claims.exp or nil;
	};
end

-- deps: claims_of(token) -> claims without any check, or nil
function person.new(deps)
	local function proved(session, claims)
		if type(claims) ~= "table" then return nil; end
		local user = table_or_empty(session.jitsi_meet_context_user);
		local found = from_claims(claims);
		if not (found.participant_id and found.token_id and found.token_room) then return nil; end
		if found.participant_id ~= user.id or found.token_room ~= session.jitsi_meet_room then return nil; end
		return found;
	end

	local function namespace(session)
		session.teleconsult = session.teleconsult or {};
		return session.teleconsult;
	end

	-- Keep what a check has just proved: decoding a token a second time would cost half of what we add to a join.
	local function remember(session, claims)
		local found = proved(session, claims);
		if not found then return; end
		local own = namespace(session);
		own.token, own.person = session.auth_token, found;
	end

	-- The person of a session, or nil; and our namespace on the session. A resumed session may carry a new token.
	local function of(session)
		if type(session.auth_token) ~= "string" then return nil; end
		local own = namespace(session);
		if own.token ~= session.auth_token then
			own.token, own.person = session.auth_token, proved(session, deps.claims_of(session.auth_token));
		end
		return own.person, own;
	end

	return { of = of; remember = remember };
end

-- Asked at every step of a join, hence without taking addresses apart as util.jid does.
local function bare(full_jid)
	return full_jid and full_jid:match("^[^/]+") or "";
end

-- Whether a bare address is one of a domain, or the domain itself; never without a domain.
local function membership(domain)
	if not domain then return function () return false; end; end
	local ending = "@" .. domain;
	local from = -#ending;
	return function (bare_jid)
		return bare_jid:sub(from) == ending or bare_jid == domain;
	end
end

-- Focus, recorder and administrators are part of the system: not asked about, not counted, not reported.
-- admins: util.set of bare JIDs; hidden_domain: string or nil
function person.system_check(admins, hidden_domain)
	local is_hidden = membership(hidden_domain);
	local is_admin = {};
	for admin in admins:items() do is_admin[admin] = true; end
	-- asked about the same address at every step a stanza takes
	local last, answer = nil, false;
	return function (jid)
		if jid ~= last then
			local whose = bare(jid);
			last, answer = jid, is_admin[whose] or is_hidden(whose);
		end
		return answer;
	end
end

-- The recorder among them.
function person.recorder_check(hidden_domain)
	local is_hidden = membership(hidden_domain);
	return function (jid)
		return is_hidden(bare(jid));
	end
end

-- Rooms in which Jicofo tests the bridges.
function person.is_health_check(node)
	return node ~= nil and node:sub(1, 21) == "__jicofo-health-check";
end

return person;
