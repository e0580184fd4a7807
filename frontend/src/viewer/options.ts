// How the slide itself is shown and moved.

/** One light pixel: stands for the tiles of a slide that cannot be found. */
export const BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAPT09AAAACwAAAAAAQABAAACAkQBADs=";

export const OPTIONS = {
  drawer: "canvas",
  prefixUrl: "",
  showNavigationControl: false,
  showNavigator: false,
  navigatorDisplayRegionColor: "#c084f5",
  navigatorRotate: true,
  animationTime: 0.4,
  springStiffness: 9,
  zoomPerScroll: 1.35,
  maxZoomPixelRatio: 16,
  minZoomImageRatio: 0.7,
  visibilityRatio: 0.3,
  imageLoaderLimit: 6,
  maxImageCacheCount: 300,
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  gestureSettingsTouch: { pinchRotate: false },
};
