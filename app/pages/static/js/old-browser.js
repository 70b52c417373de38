// For browsers without ES modules only, hence the old dialect: they cannot make WebRTC calls either.
(function () {
  var views = document.querySelectorAll('[data-view]');
  for (var i = 0; i < views.length; i += 1) {
    views[i].hidden = true;
  }
  document.getElementById('old-browser').hidden = false;
  document.body.setAttribute('data-state', 'unsupported');
}());
