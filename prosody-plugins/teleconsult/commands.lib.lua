-- The arguments of every command, as a table that says what each must be. Pure.

local text = module:require "teleconsult/text";

local LONGEST_TEXT = 4000; -- bytes

local commands = {};

local function is_text(value)
	return type(value) == "string" and value ~= "" and #value <= LONGEST_TEXT and text.is_xml(value);
end

local function is_room(value)
	return is_text(value) and value:match("^[%w%-_%.]+$") ~= nil and value == value:lower();
end

local function is_boolean(value)
	return type(value) == "boolean";
end

local function is_affiliation(value)
	return value == "owner" or value == "member";
end

local function are_flags(value)
	if type(value) ~= "table" then return false; end
	for name, allowed in pairs(value) do
		if type(name) ~= "string" or type(allowed) ~= "boolean" then return false; end
	end
	return true;
end

local MEDIA = { audio = true; video = true; desktop = true };

local function is_medium(value)
	return MEDIA[value] == true;
end

-- What a person can be asked to switch on, and be kept from.
local function is_device(value)
	return value == "audio" or value == "video";
end

local function are_ids(value)
	if type(value) ~= "table" then return false; end
	for _, id in ipairs(value) do
		if not is_text(id) then return false; end
	end
	return #value > 0;
end

local function is_moment(value) -- unix s
	return type(value) == "number" and value > 0;
end

local function is_count(value)
	return type(value) == "number" and value >= 0 and value % 1 == 0;
end

local function optional(check)
	return function (value) return value == nil or check(value); end;
end

local ARGUMENTS = {
	kick = { room = is_room; participant_id = is_text; reason = optional(is_text);
		ban = optional(is_boolean); ban_until = optional(is_moment) };
	admit = { room = is_room; participant_id = is_text };
	deny = { room = is_room; participant_id = is_text; reason = optional(is_text) };
	["end"] = { room = is_room; reason = optional(is_text) };
	affiliate = { room = is_room; participant_id = is_text; affiliation = is_affiliation; permissions = optional(are_flags) };
	message = { room = is_room; text = is_text; participant_id = optional(is_text) };
	mute = { room = is_room; media = is_medium; participant_id = optional(is_text); except = optional(are_ids);
		moderators = optional(is_boolean) };
	unmute = { room = is_room; media = is_device; participant_id = is_text; version = optional(is_count) };
	av_moderation = { room = is_room; audio = is_boolean; video = is_boolean; audio_allowed = optional(are_ids);
		video_allowed = optional(are_ids); version = optional(is_count) };
	record_start = { room = is_room; recording_id = is_text };
	record_stop = { room = is_room; recording_id = is_text };
	files = { room = is_room };
	rooms = {};
};

-- The arguments, or nil and a sentence that names the wrong one. null is the same as absent.
function commands.check(name, given)
	if type(given) ~= "table" then return nil, "the arguments must be a JSON object"; end
	local args = {};
	for key, check in pairs(ARGUMENTS[name]) do
		local value = given[key];
		if type(value) == "table" and next(value) == nil then value = nil; end -- JSON null
		if not check(value) then return nil, ("argument %s is missing or wrong"):format(key); end
		args[key] = value;
	end
	return args;
end

return commands;
