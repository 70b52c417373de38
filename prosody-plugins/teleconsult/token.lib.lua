-- Read and judge a Jitsi token (RS256 only). Pure: base64, JSON and the signature check are handed in.

local LONGEST = 8192; -- bytes; Prosody takes request lines of up to 10 KiB
local LONGEST_KID = 128;

local token = {};

local TEXTS = {
	["token-missing"] = "A token is needed to connect.";
	["token-malformed"] = "The token cannot be read.";
	["token-algorithm"] = "The token must be signed with RS256.";
	["token-key"] = "The token is signed with an unknown key.";
	["token-signature"] = "The token's signature is wrong.";
	["token-expired"] = "The token has expired.";
	["token-not-yet-valid"] = "The token is not valid yet.";
	["token-issuer"] = "The token comes from another issuer.";
	["token-audience"] = "The token is meant for another audience.";
	["token-domain"] = "The token is meant for another domain.";
	["token-room"] = "The token names no room.";
	["token-user"] = "The token names no participant.";
	["unavailable"] = "The signing keys cannot be read at the moment.";
};

function token.text(code)
	return code .. ": " .. TEXTS[code];
end

local function decode_part(deps, part)
	if not part:match("^[%w_%-]+$") then return nil; end
	local padding = ("="):rep(-#part % 4);
	return deps.base64_decode((part:gsub("-", "+"):gsub("_", "/")) .. padding);
end

local function decode_object(deps, part)
	local bytes = decode_part(deps, part);
	local object = bytes and deps.json_decode(bytes);
	return type(object) == "table" and object or nil;
end

-- The three parts of a token, or nil and a code. Nothing is verified here.
-- deps: base64_decode, json_decode
function token.parse(deps, text)
	if type(text) ~= "string" or text == "" then return nil, "token-missing"; end
	if #text > LONGEST then return nil, "token-malformed"; end
	local head, body, tail = text:match("^([^.]+)%.([^.]+)%.([^.]*)$");
	if not head then return nil, "token-malformed"; end
	local header, claims = decode_object(deps, head), decode_object(deps, body);
	if not (header and claims) then return nil, "token-malformed"; end
	return { header = header; claims = claims; signed = head .. "." .. body; signature = decode_part(deps, tail) };
end

-- Nil, or what is wrong with the header. The algorithm is fixed here and never chosen by the token.
function token.check_header(header)
	if header.alg ~= "RS256" then return "token-algorithm"; end
	if header.typ ~= "JWT" then return "token-malformed"; end
	local kid = header.kid;
	if type(kid) ~= "string" or kid == "" or #kid > LONGEST_KID then return "token-key"; end
	return nil;
end

local function check_times(claims, now)
	if type(claims.exp) ~= "number" or now >= claims.exp then return "token-expired"; end
	if type(claims.nbf) ~= "number" or now < claims.nbf then return "token-not-yet-valid"; end
	return nil;
end

local function is_text(value)
	return type(value) == "string" and value ~= "";
end

local function check_subject(claims, domain)
	if claims.sub ~= domain and claims.sub ~= "*" then return "token-domain"; end
	if not is_text(claims.room) then return "token-room"; end
	local user = type(claims.context) == "table" and claims.context.user;
	if type(user) ~= "table" or not is_text(user.id) or not is_text(claims.jti) then return "token-user"; end
	return nil;
end

-- Nil, or what is wrong with the claims. expected: issuer, audience, domain, now (unix s). No leeway, as in Jitsi's check.
function token.check_claims(claims, expected)
	local wrong_time = check_times(claims, expected.now);
	if wrong_time then return wrong_time; end
	if claims.iss ~= expected.issuer then return "token-issuer"; end
	-- Jitsi compares strings; a list would pass here and fail there
	if claims.aud ~= expected.audience then return "token-audience"; end
	return check_subject(claims, expected.domain);
end

return token;
